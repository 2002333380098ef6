package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/server/config"
)

// shownLines is how many users and segments inspect prints, unless --all says
// otherwise.
const shownLines = 50

// inspectReport is what inspect prints with --json.
type inspectReport struct {
	DataDir string `json:"data_dir"`
	Backend string `json:"backend"`
	// Running says that a server had the database, and was asked.
	Running    bool              `json:"running"`
	Format     uint32            `json:"format,omitempty"`
	Sequence   uint64            `json:"sequence,omitempty"`
	HotBytes   int64             `json:"hot_bytes,omitempty"`
	Namespaces []namespaceReport `json:"namespaces"`
	Tables     []tableReport     `json:"tables"`
	Storages   []storageReport   `json:"storages"`
	Users      []userReport      `json:"users"`
	Segments   []segmentReport   `json:"segments,omitempty"`
	Findings   []finding         `json:"findings,omitempty"`
}

type namespaceReport struct {
	Name   string `json:"name"`
	Tables int64  `json:"tables"`
	Views  int64  `json:"views"`
}

type tableReport struct {
	Namespace     string `json:"namespace"`
	Name          string `json:"table_name"`
	Type          string `json:"table_type"`
	ID            int64  `json:"table_id"`
	SchemaVersion int64  `json:"schema_version"`
	Storage       string `json:"storage_id,omitempty"`
	// Rows are those of both tiers, Hot the entries of the hot tier.
	Rows int64 `json:"rows"`
	Hot  int64 `json:"hot_rows"`
	// Deleted and Users are not known of a database that runs.
	Deleted   int64  `json:"deleted_rows,omitempty"`
	Users     int64  `json:"users,omitempty"`
	Files     int64  `json:"files"`
	Bytes     int64  `json:"bytes"`
	LastFlush string `json:"last_flush,omitempty"`
}

type storageReport struct {
	ID   string `json:"storage_id"`
	Type string `json:"storage_type"`
	URI  string `json:"uri"`
}

type userReport struct {
	ID         string `json:"user_id"`
	Name       string `json:"username,omitempty"`
	Registered bool   `json:"registered"`
	Hot        int64  `json:"hot_rows,omitempty"`
	Cold       int64  `json:"cold_rows,omitempty"`
	Files      int64  `json:"files,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"`
}

type segmentReport struct {
	Table         string `json:"table"`
	User          string `json:"user,omitempty"`
	Storage       string `json:"storage_id"`
	File          string `json:"file"`
	Rows          int64  `json:"rows"`
	Deleted       int64  `json:"deleted_rows"`
	Bytes         int64  `json:"bytes"`
	MinSeq        uint64 `json:"min_seq"`
	MaxSeq        uint64 `json:"max_seq"`
	SchemaVersion uint32 `json:"schema_version"`
	Level         uint8  `json:"level"`
	CreatedAt     string `json:"created_at"`
}

// inspect shows what is in the database. When a server has it, that is asked.
func (c *commands) inspect(ctx *cli.Context) (err error) {
	loaded, err := c.load(ctx)
	if err != nil {
		return err
	}
	r := &inspectReport{DataDir: loaded.Data.Dir, Backend: loaded.Store.Backend}
	o, err := c.offline(ctx.Context, loaded)
	switch {
	case errors.Is(err, core.ErrInUse):
		r.Running = true
		if err := c.askInspect(ctx.Context, loaded, r); err != nil {
			return &exitError{ExitFault, fmt.Errorf("a server has the data directory %s, and cannot be asked: %w", loaded.Data.Dir, err)}
		}
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, o.Close()) }()
		if err := c.lookInside(ctx, loaded, o, r); err != nil {
			return &exitError{ExitData, err}
		}
	}
	if ctx.Bool("json") {
		return c.printJSON(r)
	}
	most := shownLines
	if ctx.Bool("all") {
		most = -1
	}
	r.print(c.env.Stdout, most)
	return nil
}

// lookInside fills a report from a database that nobody runs.
func (c *commands) lookInside(ctx *cli.Context, loaded *config.Loaded, o *core.Offline, r *inspectReport) error {
	res, err := o.Audit(ctx.Context, table.Lists, func(f table.Finding) {
		if len(r.Findings) < maxFindings {
			r.Findings = append(r.Findings, finding(f))
		}
	}, func(s table.AuditedSegment) {
		r.Segments = append(r.Segments, segmentReport{
			Table: s.Table.Ident().String(), User: string(s.User), Storage: string(s.Storage), File: s.Name,
			Rows: s.Rows, Deleted: s.Deleted, Bytes: s.Bytes, MinSeq: uint64(s.MinSeq), MaxSeq: uint64(s.MaxSeq),
			SchemaVersion: s.SchemaVersion, Level: s.Level, CreatedAt: stamp(s.Created),
		})
	})
	if err != nil {
		return err
	}
	r.Format, r.Sequence = res.Format, uint64(res.Sequence)
	if r.HotBytes, err = o.Size(ctx.Context); err != nil {
		return err
	}
	for n := range res.Catalog.Namespaces() {
		if res.Catalog.IsSystem(n.ID) {
			continue
		}
		one := namespaceReport{Name: string(n.ID), Tables: int64(res.Catalog.TableCount(n.ID))}
		for range res.Catalog.Views(n.ID) {
			one.Views++
		}
		r.Namespaces = append(r.Namespaces, one)
	}
	for t := range res.Catalog.Tables("") {
		at := res.Tables[t.ID]
		if at == nil {
			continue // the server's own
		}
		r.Tables = append(r.Tables, tableReport{
			Namespace: string(t.Namespace), Name: string(t.Name), Type: string(t.Type), ID: int64(t.ID), SchemaVersion: int64(t.SchemaVersion),
			Storage: string(t.Storage), Rows: at.Live, Hot: at.Hot, Deleted: at.Deleted, Users: at.Owners,
			Files: at.Files, Bytes: at.Bytes, LastFlush: stamp(at.LastFlush),
		})
	}
	r.Storages = append(r.Storages, storageReport{ID: "local", Type: string(catalog.Filesystem), URI: loaded.Storage.DefaultLocation})
	for s := range res.Catalog.Storages() {
		r.Storages = append(r.Storages, storageReport{ID: string(s.ID), Type: string(s.Type), URI: s.URI})
	}
	registered, err := o.Users(ctx.Context, res)
	if err != nil {
		return err
	}
	names := map[ident.UserID]bool{}
	for _, u := range registered {
		names[u.ID] = true
		one := userReport{ID: string(u.ID), Name: u.Name, Registered: true}
		one.add(res.Users[u.ID])
		r.Users = append(r.Users, one)
	}
	for id, u := range res.Users {
		if !names[id] {
			one := userReport{ID: string(id)}
			one.add(u)
			r.Users = append(r.Users, one)
		}
	}
	slices.SortFunc(r.Users, func(a, b userReport) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

func (u *userReport) add(a *table.AuditedUser) {
	if a != nil {
		u.Hot, u.Cold, u.Files, u.Bytes = a.Hot, a.Cold, a.Files, a.Bytes
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// print prints at most so many users and segments; -1: all.
func (r *inspectReport) print(out io.Writer, most int) {
	fmt.Fprintf(out, "data directory  %s (%s)\n", r.DataDir, r.Backend)
	if r.Running {
		fmt.Fprintln(out, "a server has it and was asked; its files are shown when it is stopped")
	} else {
		fmt.Fprintf(out, "format %d, sequence numbers up to %d, hot tier %d bytes\n", r.Format, r.Sequence, r.HotBytes)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "\nNAMESPACE\tTABLES\tVIEWS")
	for _, n := range r.Namespaces {
		fmt.Fprintf(w, "%s\t%d\t%d\n", n.Name, n.Tables, n.Views)
	}
	fmt.Fprintln(w, "\nTABLE\tTYPE\tVERSION\tSTORAGE\tROWS\tHOT\tFILES\tBYTES\tUSERS\tLAST FLUSH")
	for _, t := range r.Tables {
		fmt.Fprintf(w, "%s.%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", t.Namespace, t.Name, t.Type, t.SchemaVersion, t.Storage, t.Rows, t.Hot, t.Files, t.Bytes, t.Users, t.LastFlush)
	}
	fmt.Fprintln(w, "\nSTORAGE\tTYPE\tURI")
	for _, s := range r.Storages {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.ID, s.Type, s.URI)
	}
	fmt.Fprintln(w, "\nUSER\tNAME\tREGISTERED\tHOT\tCOLD\tFILES\tBYTES")
	for i, u := range r.Users {
		if i == most {
			fmt.Fprintf(w, "… and %d more (--all)\n", len(r.Users)-i)
			break
		}
		fmt.Fprintf(w, "%s\t%s\t%t\t%d\t%d\t%d\t%d\n", u.ID, u.Name, u.Registered, u.Hot, u.Cold, u.Files, u.Bytes)
	}
	if !r.Running {
		fmt.Fprintln(w, "\nSEGMENT\tTABLE\tUSER\tSTORAGE\tROWS\tDELETED\tBYTES\tSEQUENCE\tVERSION\tLEVEL\tCREATED")
	}
	for i, s := range r.Segments {
		if i == most {
			fmt.Fprintf(w, "… and %d more (--all)\n", len(r.Segments)-i)
			break
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d-%d\t%d\t%d\t%s\n",
			s.File, s.Table, s.User, s.Storage, s.Rows, s.Deleted, s.Bytes, s.MinSeq, s.MaxSeq, s.SchemaVersion, s.Level, s.CreatedAt)
	}
	for i, f := range r.Findings {
		if i == 0 {
			fmt.Fprintln(w)
		}
		f.print(w)
	}
}
