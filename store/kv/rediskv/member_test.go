package rediskv

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestMemberOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	key := func() []byte {
		k := make([]byte, rnd.IntN(4))
		for i := range k {
			k[i] = []byte{0, 1, 2, 0xfe, 0xff}[rnd.IntN(5)]
		}
		return k
	}
	for range 20_000 {
		a, b := key(), key()
		sa, sb := uint64(rnd.IntN(3)), uint64(rnd.IntN(3))
		ma := string(append(appendVersion(appendWholeKey(nil, a), sa), kindInline)) + "v"
		mb := string(append(appendVersion(appendWholeKey(nil, b), sb), kindInline)) + "w"
		want := bytes.Compare(a, b)
		if want == 0 && sa != sb {
			want = 1
			if sa > sb { // the newer stands first
				want = -1
			}
		}
		if got := strings.Compare(ma, mb); got != want && !(bytes.Equal(a, b) && sa == sb) {
			t.Fatalf("%x@%d against %x@%d: %d, want %d", a, sa, b, sb, got, want)
		}
		m, ok := parseMember(ma)
		if !ok || m.seq != sa || m.kind != kindInline || m.value != "v" || !bytes.Equal(appendPlain(nil, m.key), a) {
			t.Fatalf("%x@%d came back as %+v, %v", a, sa, m, ok)
		}
		if after := string(appendAfter(nil, a)); after <= ma || bytes.Compare(b, a) > 0 && after >= mb {
			t.Fatalf("what is behind %x is not: %x", a, after)
		}
	}
}

func FuzzParseMember(f *testing.F) {
	f.Add("key\x00\x01\xff\xff\xff\xff\xff\xff\xff\xfepvalue")
	f.Add("\x00\xff\x00\x01")
	f.Add("\x00")
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := parseMember(s)
		if !ok {
			return
		}
		if m.key+string(appendVersion(nil, m.seq))+string(m.kind)+m.value != s && m.kind < 0x80 {
			t.Errorf("%q does not come back: %+v", s, m)
		}
		appendPlain(nil, m.key)
	})
}
