package slot

import (
	"hash/maphash"
	"time"
)

// maxKnown is how many texts are remembered as long, and maxHashed how many
// bytes of each are looked at.
const maxKnown, maxHashed = 1024, 2 << 10

// known remembers which texts were long, and for how long they had a place.
// What stands for a constant does not count: a program that writes values into
// its statements sends the same statement nevertheless.
type known struct {
	seed maphash.Seed
	any  bool // there was one
	of   [maxKnown]struct {
		hash uint64
		took time.Duration
	}
}

// hash is never 0. Digits within words count.
func (k *known) hash(text string) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	text = text[:min(len(text), maxHashed)]
	from, word := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'':
			h.WriteString(text[from : i+1])
			for i++; i < len(text) && text[i] != '\''; i++ {
			}
			from, word = i+1, false
		case '0' <= c && c <= '9' && !word:
			h.WriteString(text[from:i])
			h.WriteByte('0')
			for i+1 < len(text) && ('0' <= text[i+1] && text[i+1] <= '9' || text[i+1] == '.') {
				i++
			}
			from = i + 1
		default:
			word = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c >= 0x80 || word && '0' <= c && c <= '9'
		}
	}
	if from < len(text) {
		h.WriteString(text[from:])
	}
	return max(h.Sum64(), 1)
}

// learn notes that a text was long: that it has had a place for a time, and may
// have it yet.
func (k *known) learn(hash uint64, used time.Duration) {
	e := &k.of[hash%maxKnown]
	if e.hash != hash {
		e.hash, e.took = hash, 0
	}
	e.took, k.any = max(e.took, used), true
}

// done notes for how long a text had a place in all. One that was short after
// all is forgotten.
func (k *known) done(hash uint64, used time.Duration) {
	switch e := &k.of[hash%maxKnown]; {
	case e.hash != hash:
	case used < quantum/4:
		e.hash = 0
	case used < e.took:
		e.took -= (e.took - used) / 4
	default:
		e.took = used
	}
}

// find gives the hash of a text that was long.
func (k *known) find(text string) (hash uint64, ok bool) {
	if !k.any {
		return 0, false
	}
	hash = k.hash(text)
	return hash, k.of[hash%maxKnown].hash == hash
}

// took tells for how long a text needs a place, as far as that is known.
func (k *known) took(hash uint64) time.Duration {
	if e := &k.of[hash%maxKnown]; e.hash == hash {
		return e.took
	}
	return 0
}
