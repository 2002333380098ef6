package debug

import "strings"

// Kind is what a statement does, as far as its first word tells.
type Kind string

// The kinds.
const (
	KindSelect Kind = "select"
	KindInsert Kind = "insert"
	KindUpdate Kind = "update"
	KindDelete Kind = "delete"
	KindDDL    Kind = "ddl"
	KindShow   Kind = "show"
	KindFlush  Kind = "flush"
	KindOther  Kind = "other"
)

var kinds = []Kind{KindSelect, KindInsert, KindUpdate, KindDelete, KindDDL, KindShow, KindFlush, KindOther}

// maxWord is the longest of the words that KindOf knows.
const maxWord = 9

// KindOf tells the kind of a text's first statement. A text that begins with a
// comment is looked through as far as simple comments go; it is for figures,
// not for decisions.
func KindOf(sql string) Kind {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n(;")
		switch {
		case strings.HasPrefix(sql, "--"):
			_, rest, ok := strings.Cut(sql, "\n")
			if !ok {
				return KindOther
			}
			sql = rest
			continue
		case strings.HasPrefix(sql, "/*"):
			_, rest, ok := strings.Cut(sql, "*/")
			if !ok {
				return KindOther
			}
			sql = rest
			continue
		}
		break
	}
	var word [maxWord]byte
	n := 0
	for ; n < len(sql) && n < maxWord; n++ {
		c := sql[n] | 0x20
		if c < 'a' || c > 'z' {
			break
		}
		word[n] = c
	}
	switch string(word[:n]) {
	case "select", "with", "values", "table":
		return KindSelect
	case "insert":
		return KindInsert
	case "update":
		return KindUpdate
	case "delete", "truncate":
		return KindDelete
	case "create", "alter", "drop":
		return KindDDL
	case "show", "describe", "desc", "explain":
		return KindShow
	case "flush", "compact":
		return KindFlush
	}
	return KindOther
}
