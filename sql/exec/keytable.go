package exec

import (
	"bytes"
	"hash/maphash"
)

// keySeed makes the hashes of this process; tables live in memory only.
var keySeed = maphash.MakeSeed()

// keyTable numbers distinct keys of bytes from 0 in the order in which they
// come: open addressing over slots that hold a piece of the hash, so that a
// key's bytes, which lie one after the other in an arena, are looked at for a
// match only.
type keyTable struct {
	slots []keySlot
	// ends[n] is where key n ends in the arena.
	ends  []int
	arena []byte
}

// keySlot is empty when number is 0; number is one more than the key's.
type keySlot struct {
	hash   uint32
	number int32
}

func newKeyTable() *keyTable { return &keyTable{slots: make([]keySlot, 64)} }

func (t *keyTable) len() int { return len(t.ends) }

func (t *keyTable) size() int64 {
	return int64(cap(t.slots))*8 + int64(cap(t.ends))*8 + int64(cap(t.arena))
}

func (t *keyTable) key(n int32) []byte {
	from := 0
	if n > 0 {
		from = t.ends[n-1]
	}
	return t.arena[from:t.ends[n]]
}

// find is a key's number, or -1.
func (t *keyTable) find(key []byte) int32 {
	h := maphash.Bytes(keySeed, key)
	mask := len(t.slots) - 1
	for at := int(h>>32) & mask; ; at = (at + 1) & mask {
		s := t.slots[at]
		if s.number == 0 {
			return -1
		}
		if s.hash == uint32(h) && bytes.Equal(t.key(s.number-1), key) {
			return s.number - 1
		}
	}
}

// add is a key's number, and whether it is new.
func (t *keyTable) add(key []byte) (n int32, fresh bool) {
	h := maphash.Bytes(keySeed, key)
	mask := len(t.slots) - 1
	at := int(h>>32) & mask
	for ; t.slots[at].number != 0; at = (at + 1) & mask {
		s := t.slots[at]
		if s.hash == uint32(h) && bytes.Equal(t.key(s.number-1), key) {
			return s.number - 1, false
		}
	}
	t.arena = append(t.arena, key...)
	t.ends = append(t.ends, len(t.arena))
	n = int32(len(t.ends))
	t.slots[at] = keySlot{hash: uint32(h), number: n}
	if 2*len(t.ends) > len(t.slots) {
		t.grow()
	}
	return n - 1, true
}

func (t *keyTable) grow() {
	t.slots = make([]keySlot, 4*len(t.slots))
	mask := len(t.slots) - 1
	for n := range t.ends {
		h := maphash.Bytes(keySeed, t.key(int32(n)))
		at := int(h>>32) & mask
		for t.slots[at].number != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = keySlot{hash: uint32(h), number: int32(n) + 1}
	}
}
