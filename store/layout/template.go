package layout

import (
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

// Kind says whose files a template places.
type Kind uint8

// The kinds of templates.
const (
	// UserTables has a folder for each user of a table.
	UserTables Kind = iota + 1
	// SharedTables has one folder for a table.
	SharedTables
)

// maxTemplate bounds a template's text, so that a filled one stays within the
// 1,024 bytes that an S3 key may have.
const maxTemplate = 256

// The variables of templates.
const (
	varStorage   = "storageLocation"
	varNamespace = "namespace"
	varUser      = "userId"
	varTable     = "tableName"
	varShard     = "shard"
)

// Template is a checked path template. It never changes.
type Template struct {
	text  string
	kind  Kind
	parts []part
}

// part is one path component: text around at most one variable.
type part struct {
	before, variable, after string
}

// Values fill a template.
type Values struct {
	Namespace ident.NamespaceID
	Table     ident.TableName
	// User is used by templates of user tables only.
	User ident.UserID
}

// Parse checks a template, FR-014 to FR-018. It may begin with
// {storageLocation}, which is where every path begins anyway.
//
// All errors have the code INVALID_SQL: an unknown variable, a user template
// without {userId}, a shared one with it, a template that does not tell tables
// apart, two variables in one component (their values could run into each
// other), and text that is no safe file name.
func Parse(kind Kind, text string) (*Template, error) {
	t := &Template{text: text, kind: kind}
	rest := strings.TrimPrefix(text, "{"+varStorage+"}")
	switch {
	case text == "":
		return nil, invalid(text, "is empty")
	case len(text) > maxTemplate:
		return nil, dberr.Newf(dberr.InvalidSQL, "The path template has %d bytes, at most %d are allowed.", len(text), maxTemplate)
	case rest == text && strings.HasPrefix(rest, "/"):
		return nil, invalid(text, "is an absolute path").WithHint("Begin it with {storageLocation}/.")
	case rest != text && rest != "" && rest[0] != '/':
		return nil, invalid(text, "needs a / after {storageLocation}")
	}
	rest = strings.TrimPrefix(rest, "/")
	rest = strings.TrimSuffix(rest, "/")
	seen := map[string]bool{}
	for component := range strings.SplitSeq(rest, "/") {
		p, err := parsePart(text, component)
		if err != nil {
			return nil, err
		}
		seen[p.variable] = true
		t.parts = append(t.parts, p)
	}
	for _, need := range []string{varNamespace, varTable} {
		if !seen[need] {
			return nil, invalid(text, "does not hold {"+need+"}, so that different tables would share a folder")
		}
	}
	switch {
	case kind == UserTables && !seen[varUser]:
		return nil, invalid(text, "does not hold {userId}, so that different users would share a folder")
	case kind == SharedTables && (seen[varUser] || seen[varShard]):
		return nil, invalid(text, "holds {userId} or {shard}, but the files of a shared table have no user")
	}
	return t, nil
}

func invalid(text, what string) *dberr.Error {
	return dberr.Newf(dberr.InvalidSQL, "The path template %q %s.", text, what)
}

func parsePart(text, component string) (p part, err error) {
	before, tail, found := strings.Cut(component, "{")
	p.before = before
	if found {
		var closed bool
		p.variable, p.after, closed = strings.Cut(tail, "}")
		switch {
		case !closed:
			return p, invalid(text, "has a { without a }")
		case p.variable == varStorage:
			return p, invalid(text, "holds {storageLocation} in another place than its beginning")
		case p.variable != varNamespace && p.variable != varUser && p.variable != varTable && p.variable != varShard:
			return p, invalid(text, "has the unknown variable {"+p.variable+"}").
				WithHint("There are {storageLocation}, {namespace}, {userId}, {tableName} and {shard}.")
		case strings.Contains(p.after, "{"):
			return p, invalid(text, "has two variables in one folder name").WithHint("Put a / between them.")
		}
	}
	literal := p.before + p.after
	for i := 0; i < len(literal); i++ {
		if c := literal[i]; !plain(c) && (c < 'A' || c > 'Z') {
			return p, invalid(text, "holds a character that folder names may not have").
				WithHint("Use ASCII letters, digits and - _ . @ + = between the variables.")
		}
	}
	switch {
	case component == "":
		return p, invalid(text, "has an empty folder name")
	case component[0] == '.' || component[len(component)-1] == '.':
		return p, invalid(text, "has a folder name that begins or ends with a dot")
	case !found && device(component):
		return p, invalid(text, "has a folder name that is a device on Windows")
	}
	return p, nil
}

// String is the template as it was written.
func (t *Template) String() string { return t.text }

// Kind says whose files the template places.
func (t *Template) Kind() Kind { return t.kind }

// Prefix fills the template: a path below the storage's location, with
// slashes, that ends in one. Different tables and, in a user template,
// different users have different prefixes, and none of them is the beginning
// of another one that the same template gives.
func (t *Template) Prefix(v Values) string {
	var b strings.Builder
	for _, p := range t.parts {
		var value string
		switch p.variable {
		case varNamespace:
			value = Escape(string(v.Namespace))
		case varTable:
			value = Escape(string(v.Table))
		case varUser:
			value = Escape(string(v.User))
		case varShard:
			value = Shard(v.User)
		}
		name := p.before + value + p.after
		if p.variable != "" && device(name) {
			// Text and value together are a device: com{userId} for user 1.
			// A literal never holds %, so the mark collides with nothing.
			name = string(escapeByte) + name
		}
		b.WriteString(name)
		b.WriteByte('/')
	}
	return b.String()
}

// OtherShard is the shard of users whose id does not begin with a letter.
const OtherShard = "other"

// Shard is the alphabetic strategy of FR-020: the first letter of the user id
// in lower case when it is one of a to z, otherwise OtherShard.
func Shard(user ident.UserID) string {
	if user != "" {
		if c := user[0] | 0x20; c >= 'a' && c <= 'z' {
			return string(rune(c))
		}
	}
	return OtherShard
}
