package rediskv

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
)

// inlineValue is up to which size a value stands in its member of the sorted
// set. A scan fetches members whole, so larger ones would make its memory
// unbounded.
const inlineValue = 4 << 10

// The kinds of members and of steps of a script.
const (
	kindInline   = 'p'
	kindExternal = 'x'
	kindDeleted  = 'd'
	kindCreate   = 'c' // a step only: a partition comes into being
)

// versionLen is the length of an encoded version.
const versionLen = 8

// appendKey appends a key as it stands in a member, without its end.
func appendKey(dst, key []byte) []byte {
	for {
		i := bytes.IndexByte(key, 0)
		if i < 0 {
			return append(dst, key...)
		}
		dst = append(dst, key[:i]...)
		dst = append(dst, 0, 0xff)
		key = key[i+1:]
	}
}

// appendWholeKey appends a key with its end.
func appendWholeKey(dst, key []byte) []byte {
	return append(appendKey(dst, key), 0, 1)
}

// appendAfter appends what is behind all members of a key.
func appendAfter(dst, key []byte) []byte {
	return append(appendKey(dst, key), 0, 2)
}

func appendVersion(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.MaxUint64-seq)
}

// member is an entry of the data, cut into its parts.
type member struct {
	key   string // as it stands, with its end
	seq   uint64
	kind  byte
	value string
}

// parseMember cuts a member; ok is false for bytes that are none.
func parseMember(s string) (m member, ok bool) {
	n := 0
	for {
		i := strings.IndexByte(s[n:], 0)
		if i < 0 || n+i+1 >= len(s) {
			return m, false
		}
		n += i + 2
		if s[n-1] == 1 {
			break
		}
	}
	if len(s) < n+versionLen+1 {
		return m, false
	}
	return member{key: s[:n], seq: parseVersion(s[n:]), kind: s[n+versionLen], value: s[n+versionLen+1:]}, true
}

func parseVersion(s string) uint64 {
	var v uint64
	for i := range versionLen {
		v = v<<8 | uint64(s[i])
	}
	return math.MaxUint64 - v
}

// appendPlain appends the key of which escaped is the form in a member.
func appendPlain(dst []byte, escaped string) []byte {
	escaped = escaped[:len(escaped)-2]
	for {
		i := strings.IndexByte(escaped, 0)
		if i < 0 {
			return append(dst, escaped...)
		}
		dst = append(dst, escaped[:i+1]...)
		escaped = escaped[i+2:]
	}
}
