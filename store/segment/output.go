package segment

import (
	"errors"
	"hash/crc32"

	"github.com/kalamdb/kalamdb/store/object"
)

// output passes a file's bytes on and keeps the checksums of its pieces.
type output struct {
	w    object.Writer
	off  int64
	sums []uint32
	// part is the checksum of the unfinished piece, partLen its length.
	part    uint32
	partLen int
	// hold keeps the bytes back instead: the end of the Parquet file, which
	// the annex goes into.
	hold bool
	held []byte
	err  error
}

var errTooMuch = errors.New("the end of the file is too large to be held back")

// maxHeld bounds the page index and the footer of a file.
const maxHeld = 1 << 30

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	if o.hold {
		if len(o.held)+len(p) > maxHeld {
			o.err = errTooMuch
			return 0, o.err
		}
		o.held = append(o.held, p...)
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), pieceSize-o.partLen)
		o.part = crc32.Update(o.part, castagnoli, rest[:n])
		if o.partLen += n; o.partLen == pieceSize {
			o.cut()
		}
		rest = rest[n:]
	}
	n, err := o.w.Write(p)
	o.off += int64(n)
	o.err = err
	return n, err
}

// cut ends the present piece.
func (o *output) cut() {
	if o.partLen > 0 {
		o.sums = append(o.sums, o.part)
	}
	o.part, o.partLen = 0, 0
}
