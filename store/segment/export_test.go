package segment

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
)

// split finds the annex in a file, or answers false.
func split(file []byte) (start, end int, ok bool) {
	if len(file) < endLen+tailLen {
		return 0, 0, false
	}
	footer := int(binary.LittleEndian.Uint32(file[len(file)-endLen:]))
	end = len(file) - endLen - footer - tailLen
	if footer > len(file) || end < 0 {
		return 0, 0, false
	}
	start = end - int(binary.LittleEndian.Uint32(file[end:]))
	return start, end, start >= 0
}

// AnnexOf is the annex of a file.
func AnnexOf(file []byte) []byte {
	start, end, _ := split(file)
	return file[start:end]
}

// Mend makes the checksums of a changed file right again.
func Mend(file []byte) []byte {
	start, end, ok := split(file)
	if !ok {
		return file
	}
	pieces := (start + pieceSize - 1) / pieceSize
	if at := end - 4*pieces; at > start {
		for i := range pieces {
			sum := crc32.Checksum(file[i*pieceSize:min((i+1)*pieceSize, start)], castagnoli)
			binary.LittleEndian.PutUint32(file[at+4*i:], sum)
		}
	}
	binary.LittleEndian.PutUint64(file[end+4:], xxhash.Sum64(file[start:end]))
	return file
}

// ReadAnnex lets tests read an annex.
func ReadAnnex(b []byte) bool {
	a, ok := readAnnex(b)
	if ok {
		a.size()
		a.within([]byte("a"), []byte("b"))
	}
	return ok
}
