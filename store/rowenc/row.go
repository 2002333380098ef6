package rowenc

import (
	"encoding/binary"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
)

// The header's places. All numbers are little-endian.
const (
	formatVersion = 1

	atFormat  = 0  // 1 byte
	atFlags   = 1  // 1 byte
	atColumns = 2  // 2 bytes: how many columns the schema version has
	atSchema  = 4  // 4 bytes: schema version
	atSeq     = 8  // 8 bytes: commit sequence
	atUpdated = 16 // 8 bytes: microseconds since 1970-01-01 UTC
	headerLen = 24
)

// The flags.
const (
	flagDeleted = 1 << 0
	// flagWide says that the ends of texts take four bytes, not two.
	flagWide   = 1 << 1
	knownFlags = flagDeleted | flagWide
)

// Header is what the database itself keeps of a row.
type Header struct {
	// Seq is the commit that wrote this version of the row.
	Seq change.Seq
	// UpdatedAt is that commit's time, in microseconds since 1970-01-01 UTC.
	UpdatedAt int64
	// Deleted marks a soft-deleted row.
	Deleted bool
}

// Row is the bytes of a row. Its methods read the header; on bytes that are
// too short for one they give zero. Check tells whether the header is sound.
type Row []byte

// Seq is the commit that wrote this version of the row.
func (r Row) Seq() change.Seq {
	if len(r) < headerLen {
		return 0
	}
	return change.Seq(binary.LittleEndian.Uint64(r[atSeq:]))
}

// UpdatedAt is that commit's time, in microseconds since 1970-01-01 UTC.
func (r Row) UpdatedAt() int64 {
	if len(r) < headerLen {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(r[atUpdated:]))
}

// Deleted tells whether the row is soft-deleted.
func (r Row) Deleted() bool { return len(r) >= headerLen && r[atFlags]&flagDeleted != 0 }

// SchemaVersion is the version of the schema that the row was written under.
func (r Row) SchemaVersion() uint32 {
	if len(r) < headerLen {
		return 0
	}
	return binary.LittleEndian.Uint32(r[atSchema:])
}

// Header reads all of the header.
func (r Row) Header() Header {
	return Header{Seq: r.Seq(), UpdatedAt: r.UpdatedAt(), Deleted: r.Deleted()}
}

// Check tells whether the bytes start with a header of a known format.
func (r Row) Check() error {
	switch {
	case len(r) < headerLen:
		return damaged("it has %d bytes, the header alone takes %d", len(r), headerLen)
	case r[atFormat] != formatVersion:
		return damaged("unknown format %d", r[atFormat])
	case r[atFlags]&^knownFlags != 0:
		return damaged("unknown flags %#x", r[atFlags])
	}
	return nil
}

// Restamp appends the row with another header, and its columns unchanged:
// what a soft delete writes. With r[:0] as dst it changes the row in its place.
func Restamp(dst []byte, r Row, h Header) ([]byte, error) {
	if err := r.Check(); err != nil {
		return dst, err
	}
	from := len(dst)
	dst = append(dst, r...)
	h.put(dst[from:])
	return dst, nil
}

// put writes the header's own fields and leaves the others.
func (h Header) put(b []byte) {
	b[atFlags] &^= flagDeleted
	if h.Deleted {
		b[atFlags] |= flagDeleted
	}
	binary.LittleEndian.PutUint64(b[atSeq:], uint64(h.Seq))
	binary.LittleEndian.PutUint64(b[atUpdated:], uint64(h.UpdatedAt))
}

func damaged(format string, args ...any) error {
	return dberr.New(dberr.Internal, "stored row is damaged: "+fmt.Sprintf(format, args...))
}
