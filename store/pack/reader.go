// Package pack reads records that were packed with the Append functions of
// encoding/binary, from bytes that may be damaged: it never panics, never asks
// for more memory than the bytes can fill, and leaves it to the end to ask
// whether all was there.
package pack

import "encoding/binary"

// Reader takes values from the front of its bytes. After the first one that is
// not there it gives zeros, and Bad is set.
type Reader struct {
	// Rest is what has not been read.
	Rest []byte
	// Bad says that something was not there or, as the caller may find, makes
	// no sense.
	Bad bool
}

func (r *Reader) fail() { r.Rest, r.Bad = nil, true }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.Rest) == 0 {
		r.Bad = true
		return 0
	}
	c := r.Rest[0]
	r.Rest = r.Rest[1:]
	return c
}

// Bool reads a byte that is not 0 for true.
func (r *Reader) Bool() bool { return r.Byte() != 0 }

// Uvarint reads what binary.AppendUvarint wrote.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.Rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return v
}

// Varint reads what binary.AppendVarint wrote.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.Rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return v
}

// Int64 is a Uvarint that is a count, a size or a place: at most 1<<62.
func (r *Reader) Int64() int64 {
	v := r.Uvarint()
	if v > 1<<62 {
		r.Bad = true
		return 0
	}
	return int64(v)
}

// Count is a Uvarint that is a number of things that take at least size bytes
// each of what follows.
func (r *Reader) Count(size int) int {
	v := r.Uvarint()
	if v > uint64(len(r.Rest)/max(size, 1)) {
		r.Bad = true
		return 0
	}
	return int(v)
}

// Uint32 reads four bytes, the lowest first.
func (r *Reader) Uint32() uint32 {
	if len(r.Rest) < 4 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint32(r.Rest)
	r.Rest = r.Rest[4:]
	return v
}

// Uint64 reads eight bytes, the lowest first.
func (r *Reader) Uint64() uint64 {
	if len(r.Rest) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.Rest)
	r.Rest = r.Rest[8:]
	return v
}

// Bytes reads what AppendBytes wrote. The result shares the Reader's memory.
func (r *Reader) Bytes() []byte {
	n := r.Count(1)
	if r.Bad {
		return nil
	}
	v := r.Rest[:n:n]
	r.Rest = r.Rest[n:]
	return v
}

// AppendBytes appends bytes, or text, after their number.
func AppendBytes[T []byte | string](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
