package vector

import "math/bits"

// Bitmap is a run of bits, bit i in word i/64. As a vector's validity a set
// bit means "not NULL", and the nil Bitmap means that nothing is NULL.
type Bitmap []uint64

// NewBitmap makes a Bitmap of n clear bits.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+63)/64) }

// Get reads bit i. The nil Bitmap has every bit set.
func (b Bitmap) Get(i int) bool { return b == nil || b[i>>6]&(1<<(i&63)) != 0 }

// Set sets bit i.
func (b Bitmap) Set(i int) { b[i>>6] |= 1 << (i & 63) }

// Clear clears bit i.
func (b Bitmap) Clear(i int) { b[i>>6] &^= 1 << (i & 63) }

// SetAll sets the first n bits.
func (b Bitmap) SetAll(n int) {
	for i := range n >> 6 {
		b[i] = ^uint64(0)
	}
	if r := n & 63; r != 0 {
		b[n>>6] |= 1<<r - 1
	}
}

// Count is how many of the first n bits are set.
func (b Bitmap) Count(n int) int {
	if b == nil {
		return n
	}
	c := 0
	for i := range n >> 6 {
		c += bits.OnesCount64(b[i])
	}
	if r := n & 63; r != 0 {
		c += bits.OnesCount64(b[n>>6] & (1<<r - 1))
	}
	return c
}

// And is the bits set in both, over n bits. It may return one of its
// arguments.
func And(a, b Bitmap, n int) Bitmap {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := NewBitmap(n)
	for i := range out {
		out[i] = a[i] & b[i]
	}
	return out
}

// Clone copies the first n bits.
func (b Bitmap) Clone(n int) Bitmap {
	if b == nil {
		return nil
	}
	c := NewBitmap(n)
	copy(c, b)
	return c
}
