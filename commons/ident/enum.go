package ident

import (
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// TableType says who shares a table's rows and how long they live.
type TableType string

// The table types.
const (
	// UserTable has a partition of its own for every user.
	UserTable TableType = "user"
	// SharedTable has one partition for everybody.
	SharedTable TableType = "shared"
	// StreamTable is per user, in memory only, and forgets rows after its TTL.
	StreamTable TableType = "stream"
	// SystemTable is one of the server's own, read from its state.
	SystemTable TableType = "system"
)

// ParseTableType reads a type that a user may create.
func ParseTableType(s string) (TableType, error) {
	switch t := TableType(strings.ToLower(s)); t {
	case UserTable, SharedTable, StreamTable:
		return t, nil
	}
	return "", dberr.Newf(dberr.InvalidSQL, "unknown table type %q", s).WithHint("Use user, shared or stream.")
}

// PerUser tells whether every user has an own partition of such a table.
func (t TableType) PerUser() bool { return t == UserTable || t == StreamTable }

// Access says what users may do with a SHARED table.
type Access string

// The access levels of SHARED tables.
const (
	// PublicAccess lets everybody read, service and admin write. The default.
	PublicAccess Access = "public"
	// OpenAccess lets everybody read and write.
	OpenAccess Access = "open"
	// RestrictedAccess is for service and admin only.
	RestrictedAccess Access = "restricted"
	// PrivateAccess is for admin only.
	PrivateAccess Access = "private"
)

// ParseAccess reads an access level.
func ParseAccess(s string) (Access, error) {
	switch a := Access(strings.ToLower(s)); a {
	case PublicAccess, OpenAccess, RestrictedAccess, PrivateAccess:
		return a, nil
	}
	return "", dberr.Newf(dberr.InvalidSQL, "unknown access level %q", s).WithHint("Use public, open, restricted or private.")
}

// Role says what a caller may do; see the permissions page of the docs.
type Role string

// The roles, from the weakest on.
const (
	RoleUser    Role = "user"
	RoleService Role = "service"
	RoleAdmin   Role = "admin"
	// RoleSystem is the server itself; no credential grants it.
	RoleSystem Role = "system"
)

// ParseRole reads a role that a credential may grant. "dba" is admin.
func ParseRole(s string) (Role, error) {
	switch strings.ToLower(s) {
	case "user":
		return RoleUser, nil
	case "service":
		return RoleService, nil
	case "admin", "dba":
		return RoleAdmin, nil
	}
	return "", dberr.Newf(dberr.InvalidSQL, "unknown role %q", s).WithHint("Use user, service or admin.")
}

// IsAdmin tells whether the role may administer the server.
func (r Role) IsAdmin() bool { return r == RoleAdmin || r == RoleSystem }

// MayActForOthers tells whether the role may name another user in X-USER-ID.
func (r Role) MayActForOthers() bool { return r == RoleService || r.IsAdmin() }
