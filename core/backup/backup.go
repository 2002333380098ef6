package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/object"
)

// The types of the jobs.
const (
	JobType        = "backup"
	RestoreJobType = "restore"
)

// The named steps of a backup, where Options.Step is called.
const (
	// StepNoted: the place is noted, nothing is there.
	StepNoted = "backup:noted"
	// StepCopied: the rows of one more table are there.
	StepCopied = "backup:copied"
	// StepWritten: the manifest is there, the note, too.
	StepWritten = "backup:written"
	// StepForgotten: the note is gone.
	StepForgotten = "backup:forgotten"
)

// Options sets how a Service works. Store, Jobs, Files and Backend must be
// given.
type Options struct {
	Store   *table.Store
	Jobs    *job.Manager
	Files   table.Files
	Backend kv.Backend
	// DataDir is the server's own folder, in which no backup may lie.
	DataDir string
	// Server is the version that manifests name.
	Server string
	// Step is called at each named step of a protocol that a crash may
	// interrupt. Nil: nothing.
	Step func(name string)
	// Now is the clock. Default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Service makes backups and restores them. It may be used from several
// goroutines.
type Service struct {
	opts   Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// resumed is closed when what Resume has begun is done.
	resumed chan struct{}
}

// New makes a Service, which must be closed. It touches nothing yet.
func New(opts Options) *Service {
	if opts.Step == nil {
		opts.Step = func(string) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{opts: opts, resumed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends what the Service does beside its jobs. A second call does nothing.
func (s *Service) Close() {
	s.cancel()
	s.wg.Wait()
}

// Request asks for a backup or a restore.
type Request struct {
	// Namespace is the one that is backed up, or that the backup has.
	Namespace ident.NamespaceID
	// As is the name that a restored namespace gets; empty: its own.
	As ident.NamespaceID
	// Path is the place.
	Path string
	// Origin says why, User who asked.
	Origin string
	User   ident.UserID
}

func (r Request) spec(typ, key string) job.Spec {
	params := []string{string(r.Namespace), r.Path}
	if r.As != "" {
		params = append(params, string(r.As))
	}
	return job.Spec{Type: typ, Namespace: r.Namespace, Parameters: params, User: r.User, Origin: r.Origin, Key: key}
}

// Answer is what a backup has, or a restore has put back.
type Answer struct {
	Namespace ident.NamespaceID
	Tables    int
	Totals
	Sequence  uint64
	CreatedAt time.Time
	Path      string
	// Moved lists the tables whose storage this database does not have, so
	// that they went to the one that is always there.
	Moved []ident.TableName
	Job   ident.JobID
	Took  time.Duration
}

func (m *Manifest) answer(ns ident.NamespaceID, path string) Answer {
	return Answer{
		Namespace: ns, Tables: len(m.Tables), Totals: m.Totals,
		Sequence: uint64(m.Sequence), CreatedAt: m.CreatedAt, Path: path,
	}
}

// Backup backs a namespace up and returns when it is done. When the context
// ends before, the job goes on.
//
// Errors: NAMESPACE_NOT_FOUND; INVALID_SQL for a path that cannot be;
// ALREADY_EXISTS when a backup lies there; CONFLICT when a table is dropped
// meanwhile; STORAGE_UNAVAILABLE.
func (s *Service) Backup(ctx context.Context, req Request) (Answer, error) {
	cat := s.opts.Store.Catalog()
	if _, err := cat.Export(req.Namespace); err != nil {
		return Answer{}, err
	}
	p, err := s.open(cat, req.Path, true)
	if err != nil {
		return Answer{}, err
	}
	defer p.close()
	if err := free(ctx, p, req.Path); err != nil {
		return Answer{}, err
	}
	return s.run(ctx, req.spec(JobType, "backup at "+req.Path), func(ctx context.Context, task *job.Task) (Answer, error) {
		return s.backup(ctx, task, req)
	})
}

// free refuses a place where a backup lies, sound or not.
func free(ctx context.Context, p *place, path string) error {
	_, err := p.bucket.Stat(ctx, p.name(manifestName))
	switch {
	case err == nil:
		return dberr.Newf(dberr.AlreadyExists, "There is a backup at '%s' already.", path).WithHint("Choose another place, or remove that one.")
	case errors.Is(err, object.ErrNotFound):
		return nil
	}
	return err
}

// run does something as a job and waits for it.
func (s *Service) run(ctx context.Context, spec job.Spec, do func(context.Context, *job.Task) (Answer, error)) (Answer, error) {
	var mu sync.Mutex // guards out
	var out Answer
	task, err := s.opts.Jobs.Start(ctx, spec, func(ctx context.Context, task *job.Task) (string, error) {
		a, err := do(ctx, task)
		mu.Lock()
		defer mu.Unlock()
		out = a
		return fmt.Sprintf("%d tables with %d rows in %d files of %d bytes, at sequence %d", a.Tables, a.Rows, a.Files, a.Bytes, a.Sequence), err
	})
	if err != nil {
		return Answer{}, err
	}
	if _, err := task.Wait(ctx); err != nil {
		return Answer{}, err
	}
	mu.Lock()
	defer mu.Unlock()
	j := task.Job()
	out.Job, out.Took = j.ID, j.CompletedAt.Sub(j.CreatedAt)
	return out, nil
}

// options are how a job's table copying says what it takes.
func options(task *job.Task) table.FlushOptions {
	return table.FlushOptions{Hold: task.Hold, Work: task.Work}
}

// backup is the job.
func (s *Service) backup(ctx context.Context, task *job.Task, req Request) (a Answer, err error) {
	store := s.opts.Store
	if err := store.Settled(ctx); err != nil {
		return a, err
	}
	p, err := s.open(store.Catalog(), req.Path, true)
	if err != nil {
		return a, err
	}
	defer p.close()
	if err := free(ctx, p, req.Path); err != nil {
		return a, err
	}
	n := note{Folder: string(task.ID()), Path: req.Path}
	if err := s.note(ctx, n); err != nil {
		return a, err
	}
	s.opts.Step(StepNoted)
	m, err := s.copy(ctx, task, req.Namespace, p, n.Folder)
	if err == nil {
		task.Step("writing the manifest")
		err = p.finish(ctx, m)
	}
	if err != nil {
		s.giveUp(ctx, p, n)
		return a, err
	}
	s.opts.Step(StepWritten)
	if err := s.forget(ctx, n); err != nil {
		return a, err
	}
	s.opts.Step(StepForgotten)
	return m.answer(req.Namespace, req.Path), nil
}

// finish writes the manifest, if there is none.
func (p *place) finish(ctx context.Context, m *Manifest) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	return object.Put(ctx, p.bucket, p.name(manifestName), data, object.CreateOptions{IfAbsent: true})
}

// copy copies the rows of a state and says what is there then.
func (s *Service) copy(ctx context.Context, task *job.Task, ns ident.NamespaceID, p *place, folder string) (*Manifest, error) {
	store := s.opts.Store
	st := store.Acquire()
	defer st.Release()
	m := &Manifest{Format: Format, Server: s.opts.Server, Folder: folder, Sequence: st.Seq, CreatedAt: s.opts.Now().UTC().Truncate(time.Microsecond)}
	var err error
	if m.Definitions, err = st.Catalog.Export(ns); err != nil {
		return nil, err
	}
	for t := range st.Catalog.Tables(ns) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		one := Table{Name: t.Name}
		if one.Rows, one.Deleted, err = store.RowsAt(st, t.ID); err != nil {
			return nil, err
		}
		c := &copier{
			p: p, m: m, t: &one, place: fmt.Sprintf("%s/t%04d/t%04d", folder, len(m.Tables)+1, len(m.Tables)+1),
			step: func() {
				task.Step(fmt.Sprintf("table %d of %d: %d rows of %s in %d files so far", len(m.Tables)+1, len(m.Definitions.Tables), m.Rows, ns, m.Files))
			},
		}
		c.step()
		err := store.Export(ctx, table.Export{Table: t, State: st, To: p.bucket, Name: c.name, Emit: c.emit(ctx), Options: options(task)})
		if err != nil {
			return nil, err
		}
		if err := c.list(ctx); err != nil {
			return nil, err
		}
		m.Tables = append(m.Tables, one)
		m.Rows += one.Rows
		s.opts.Step(StepCopied)
	}
	return m, nil
}

// copier gathers what was copied of a table into lists.
type copier struct {
	p     *place
	m     *Manifest
	t     *Table
	place string // begins the names of files
	files int
	all   []table.Portion
	step  func()
}

func (c *copier) name() string {
	c.files++
	return c.p.name(fmt.Sprintf("%s-%06d.parquet", c.place, c.files))
}

func (c *copier) emit(ctx context.Context) func([]table.Portion) error {
	return func(all []table.Portion) error {
		for _, one := range all {
			one.Entry.Name = strings.TrimPrefix(one.Entry.Name, c.p.prefix)
			c.m.Files++
			c.m.Bytes += one.Entry.Bytes
			c.all = append(c.all, one)
		}
		c.step()
		if len(c.all) < listFiles {
			return nil
		}
		return c.list(ctx)
	}
}

func (c *copier) list(ctx context.Context) error {
	for len(c.all) > 0 {
		n := min(len(c.all), listFiles)
		l, err := c.p.writeList(ctx, fmt.Sprintf("%s-files-%04d.json", c.place, len(c.t.Lists)+1), c.all[:n])
		if err != nil {
			return err
		}
		c.t.Lists = append(c.t.Lists, l)
		c.all = c.all[n:]
	}
	c.all = nil
	return nil
}

// Show reads the manifest at a place.
//
// Errors: NOT_FOUND, INVALID_SQL for a path that cannot be, STORAGE_UNAVAILABLE
// when the manifest is damaged.
func (s *Service) Show(ctx context.Context, path string) (Answer, error) {
	p, err := s.open(s.opts.Store.Catalog(), path, false)
	if err != nil {
		return Answer{}, err
	}
	defer p.close()
	m, err := p.read(ctx, path)
	if err != nil {
		return Answer{}, err
	}
	return m.answer(m.namespace(), path), nil
}

func (m *Manifest) namespace() ident.NamespaceID { return m.Definitions.Namespace.ID }

// maxShown is how many backups ShowOf looks for.
const maxShown = 100

// ShowOf reads the manifests of the backups of a namespace that this server
// knows by its jobs to have made, the newest first. Those that are gone are
// left out.
func (s *Service) ShowOf(ctx context.Context, ns ident.NamespaceID) ([]Answer, error) {
	var out []Answer
	seen := map[string]bool{}
	jobs := s.opts.Jobs.List("")
	for i := len(jobs) - 1; i >= 0 && len(seen) < maxShown; i-- {
		j := &jobs[i]
		if j.Type != JobType || j.Namespace != ns || j.Status != job.Completed || len(j.Parameters) < 2 || seen[j.Parameters[1]] {
			continue
		}
		seen[j.Parameters[1]] = true
		a, err := s.Show(ctx, j.Parameters[1])
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return nil, cause
			}
			continue
		}
		if a.Namespace == ns {
			out = append(out, a)
		}
	}
	return out, nil
}

// restored is a namespace's definitions from a backup.
func (m *Manifest) restored(as ident.NamespaceID) (*catalog.Restored, error) {
	defs, err := m.Definitions.Restore()
	if err != nil {
		if _, ok := dberr.As(err); ok {
			return nil, err
		}
		return nil, damaged(manifestName, "its definitions make no sense", err)
	}
	for i, versions := range defs.Tables {
		if versions[0].Table.Name != m.Tables[i].Name {
			return nil, damaged(manifestName, "its tables are not those that it defines", nil)
		}
		for j := range versions {
			versions[j].Table.Namespace = as
		}
	}
	for _, v := range defs.Views {
		if v.Query, err = renamed(v.Query, m.namespace(), as); err != nil {
			return nil, damaged(manifestName, fmt.Sprintf("view %s makes no sense", v.Name), err)
		}
		v.Namespace = as
	}
	return defs, nil
}
