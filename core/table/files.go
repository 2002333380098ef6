package table

import (
	"fmt"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/manifest"
)

// FilesOf counts the listed files in a storage. It looks at all lists, so it is
// for what is rarely done. It may be called between two batches.
func (s *Store) FilesOf(id ident.StorageID) (n int, err error) {
	st := s.Acquire()
	defer st.Release()
	for o, err := range manifest.All(st.kv, "") {
		if err != nil {
			return 0, fmt.Errorf("count files: %w", err)
		}
		if o.Storage == id {
			n++
		}
	}
	return n, nil
}
