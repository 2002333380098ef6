// Package ident holds the typed names and ids that the rest of the system
// passes around instead of bare strings, and the rules they obey. A value of
// one of these types that came from outside has passed its Parse function.
package ident

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

type (
	// UserID identifies a user: any UTF-8 of 1 to 128 bytes without control
	// characters, because identity providers issue ids such as
	// "auth0|5f7c…" and e-mail addresses.
	UserID string
	// NamespaceID names a namespace, a container of tables.
	NamespaceID string
	// TableName is a table's or view's name within its namespace.
	TableName string
	// TableID is a table's number. It is never used again, so that a table
	// created under a dropped one's name does not meet its remains.
	TableID uint32
	// StorageID names a place for cold files.
	StorageID string
	// LiveID identifies one live query of this server.
	LiveID string
	// ConnectionID identifies one WebSocket connection of this server.
	ConnectionID string
	// SubscriptionID is the client's own name for a subscription, unique on
	// its connection.
	SubscriptionID string
	// SessionID tells a user's sessions apart; empty is the default session.
	SessionID string
	// JobID identifies one run of a background job.
	JobID string
	// APIKeyID identifies an API key; it is the public part of the key.
	APIKeyID string
	// NodeID names a server in system tables.
	NodeID string
)

const (
	// MaxNameLen is how many bytes a namespace, table, column or storage name
	// may have. PostgreSQL's limit.
	MaxNameLen = 63
	// MaxUserIDLen is how many bytes a user id may have.
	MaxUserIDLen = 128
	// MaxSessionIDLen is how many bytes a session id may have.
	MaxSessionIDLen = 128
)

// ParseUserID checks that s can be a user id.
func ParseUserID(s string) (UserID, error) {
	if err := check("user_id", s, MaxUserIDLen); err != nil {
		return "", err
	}
	return UserID(s), nil
}

// ParseNamespace checks that s can be a namespace's name.
func ParseNamespace(s string) (NamespaceID, error) {
	if err := check("namespace name", s, MaxNameLen); err != nil {
		return "", err
	}
	return NamespaceID(s), nil
}

// ParseTable checks that s can be a table's name.
func ParseTable(s string) (TableName, error) {
	if err := check("table name", s, MaxNameLen); err != nil {
		return "", err
	}
	return TableName(s), nil
}

// ParseStorage checks that s can be a storage's id.
func ParseStorage(s string) (StorageID, error) {
	if err := check("storage id", s, MaxNameLen); err != nil {
		return "", err
	}
	return StorageID(s), nil
}

// ParseSession checks that s can be a session id; the empty string is the
// default session.
func ParseSession(s string) (SessionID, error) {
	if s == "" {
		return "", nil
	}
	if err := check("session id", s, MaxSessionIDLen); err != nil {
		return "", err
	}
	return SessionID(s), nil
}

// CheckColumn tells whether s can be a column's name.
func CheckColumn(s string) error { return check("column name", s, MaxNameLen) }

func check(what, s string, maxLen int) error {
	switch {
	case s == "":
		return dberr.Newf(dberr.InvalidSQL, "%s must not be empty", what)
	case len(s) > maxLen:
		return dberr.Newf(dberr.InvalidSQL, "%s is %d bytes long, at most %d are allowed", what, len(s), maxLen)
	case !utf8.ValidString(s):
		return dberr.Newf(dberr.InvalidSQL, "%s is not valid UTF-8", what)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return dberr.Newf(dberr.InvalidSQL, "%s must not hold control characters", what)
		}
	}
	return nil
}

// Table is a table's full name.
type Table struct {
	Namespace NamespaceID
	Name      TableName
}

// String gives the name as users write it, without quotes.
func (t Table) String() string { return fmt.Sprintf("%s.%s", t.Namespace, t.Name) }
