package core

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/systable"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// authorize decides whether the caller may run a statement. Every statement,
// subscription and plan shown passes it before anything is read. It says
// nothing of rows: a View opens the caller's own partitions only.
//
//	                        user            service         admin
//	USER, STREAM tables     own rows        own rows        own rows
//	SHARED public           read            read, write     read, write
//	SHARED open             read, write     read, write     read, write
//	SHARED restricted       -               read, write     read, write
//	SHARED private          -               -               read, write
//	system tables           what is theirs  what is theirs  everything
//	system.users            own row         own row         read, write
//	definitions, views,
//	flush, storages,
//	backups, API keys       -               -               yes
//	KILL LIVE QUERY, JOB    own             own             any
//
// "Own" is the user that the request is for: who may act for another does so
// by being that user.
func (s *Session) authorize(prep *sql.Prepared) error {
	p := s.principal
	if prep.UserQualified() && !p.ExplicitUser {
		return errNoExplicitUser
	}
	for _, t := range prep.Reads() {
		if t.Type == ident.SharedTable && !systable.MayRead(p.Role, t.Access) {
			return denied("read", t)
		}
	}
	for _, t := range prep.AlsoWrites() {
		if err := mayWrite(p.Role, t); err != nil {
			return err
		}
	}
	if t := prep.Writes(); t != nil {
		if err := mayWrite(p.Role, t); err != nil {
			return err
		}
	}
	if prep.Kind() == sql.Utility && needsAdmin(prep.Statement()) && !p.Role.IsAdmin() {
		return dberr.New(dberr.PermissionDenied, "This statement needs the role admin.")
	}
	return nil
}

func mayWrite(r ident.Role, t *ddl.Table) error {
	switch {
	case t.Type == ident.SharedTable && !systable.MayWrite(r, t.Access):
		return denied("change", t)
	case t.Type == ident.SystemTable && !systable.IsWritable(t.ID):
		return dberr.Newf(dberr.PermissionDenied, "table %s belongs to the system and cannot be changed", t.Ident())
	case t.Type == ident.SystemTable && !r.IsAdmin():
		return denied("change", t)
	}
	return nil
}

// errNoExplicitUser answers FR-060: the .user. qualifier stands for the user
// that the request names, so the request must name one.
var errNoExplicitUser = dberr.New(dberr.PermissionDenied, "The .user. qualifier needs a request that names its user.").
	WithHint("Send the header X-USER-ID, or a token, or leave the qualifier out.")

func denied(what string, t *ddl.Table) error {
	return dberr.Newf(dberr.PermissionDenied, "You may not %s table %s.", what, t.Ident())
}

// needsAdmin tells whether a statement is for the role admin only.
func needsAdmin(stmt ast.Statement) bool {
	switch x := stmt.(type) {
	case *ast.Show:
		return x.Kind == ast.ShowBackup
	case *ast.UseNamespace, *ast.Describe, *ast.Subscribe, *ast.KillLiveQuery, *ast.KillJob, *ast.ClearCache,
		*ast.Explain, *ast.Truncate:
		// What these show or change is looked at where they do it.
		return false
	}
	return true
}
