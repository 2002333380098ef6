package core

import (
	"context"
	"fmt"
	"strings"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/backup"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// backup runs BACKUP DATABASE. As with a flush, a statement's time limit is not
// for it, and when the client goes away the job goes on.
func (st *statement) backup(ctx context.Context, x *ast.Backup) error {
	st.ctx.extend(st.deadline)
	a, err := st.s.e.backups.Backup(ctx, backup.Request{
		Namespace: ident.NamespaceID(x.Namespace.Name), Path: x.Path, Origin: "BACKUP DATABASE", User: st.s.principal.User,
	})
	if err != nil {
		return st.at(err, x.Pos)
	}
	return st.showBackups([]backup.Answer{a}, fmt.Sprintf("Namespace %s backed up to '%s': %s", a.Namespace, a.Path, contents(a)))
}

// restore runs RESTORE DATABASE, under the rules of backup.
func (st *statement) restore(ctx context.Context, x *ast.Restore) error {
	st.ctx.extend(st.deadline)
	a, err := st.s.e.backups.Restore(ctx, backup.Request{
		Namespace: ident.NamespaceID(x.Namespace.Name), As: ident.NamespaceID(x.As.Name), Path: x.Path,
		Origin: "RESTORE DATABASE", User: st.s.principal.User,
	})
	if err != nil {
		return st.at(err, x.Pos)
	}
	message := fmt.Sprintf("Namespace %s restored from '%s': %s", a.Namespace, a.Path, contents(a))
	if len(a.Moved) > 0 {
		names := make([]string, len(a.Moved))
		for i, n := range a.Moved {
			names[i] = string(n)
		}
		message += fmt.Sprintf("; %s had a storage that does not exist here, and went to 'local': %s", plural(int64(len(names)), "table"), strings.Join(names, ", "))
	}
	return st.showBackups([]backup.Answer{a}, message)
}

func contents(a backup.Answer) string {
	return fmt.Sprintf("%s, %s, %s of %s, at sequence %d", plural(int64(a.Tables), "table"), plural(a.Rows, "row"), plural(a.Files, "file"), plural(a.Bytes, "byte"), a.Sequence)
}

// showBackup runs SHOW BACKUP: of a place, or of a namespace.
func (st *statement) showBackup(ctx context.Context, x *ast.Show) error {
	if x.Path != "" || x.Namespace.Name == "" {
		a, err := st.s.e.backups.Show(ctx, x.Path)
		if err != nil {
			return st.at(err, x.Pos)
		}
		return st.showBackups([]backup.Answer{a}, "")
	}
	ns := ident.NamespaceID(x.Namespace.Name)
	all, err := st.s.e.backups.ShowOf(ctx, ns)
	if err != nil {
		return st.at(err, x.Pos)
	}
	return st.showBackups(all, "")
}

func (st *statement) showBackups(all []backup.Answer, message string) error {
	r := &result{}
	r.texts("namespace")
	for _, n := range []string{"tables", "rows", "files", "bytes", "sequence"} {
		r.col(n, sqltype.TBigInt)
	}
	r.col("created_at", sqltype.TTimestamp)
	r.texts("path")
	n := sqltype.NewBigInt
	for _, a := range all {
		r.add(text(a.Namespace), n(int64(a.Tables)), n(a.Rows), n(a.Files), n(a.Bytes), n(int64(a.Sequence)), moment(a.CreatedAt), text(a.Path))
	}
	return st.show(r, Outcome{Message: message})
}
