package flush

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// CompactJobType is the type of the jobs that merge a table's files.
const CompactJobType = "compact"

// Compacted is what a compaction has done.
type Compacted struct {
	Table *ddl.Table
	table.CompactResult
	Job    ident.JobID
	Waited bool
	Took   time.Duration
}

// Compact merges each user's files of a table into one, and returns when it is
// done. When the context ends before, the job goes on. Partitions that get many
// files are compacted without being asked, after the flush that brings them.
func (s *Service) Compact(ctx context.Context, t *ddl.Table, req Request) (Compacted, error) {
	c, err := s.beginCompact(ctx, t, req, 0)
	if err != nil {
		return Compacted{}, err
	}
	if _, err := c.task.Wait(ctx); err != nil {
		return Compacted{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.task.Job()
	return Compacted{Table: t, CompactResult: c.res, Job: j.ID, Waited: c.task.Waits(), Took: j.CompletedAt.Sub(j.CreatedAt)}, nil
}

// merging is a compaction that was started.
type merging struct {
	task *job.Task
	mu   sync.Mutex // guards res
	res  table.CompactResult
}

func (s *Service) beginCompact(ctx context.Context, t *ddl.Table, req Request, least int) (*merging, error) {
	c := &merging{}
	spec := job.Spec{
		Type: CompactJobType, Namespace: t.Namespace, Table: t.Name, Parameters: []string{t.Ident().String()},
		User: req.User, Origin: req.Origin, Key: Key(t.ID),
	}
	var err error
	c.task, err = s.opts.Jobs.Start(ctx, spec, func(ctx context.Context, task *job.Task) (string, error) {
		opts := table.CompactOptions{MinSegments: least, Step: task.Step, Hold: task.Hold}
		if s.opts.DeletedRows > 0 {
			opts.DeletedBefore = s.opts.Now().Add(-s.opts.DeletedRows)
		}
		res, err := s.opts.Store.Compact(ctx, t.ID, opts)
		c.mu.Lock()
		c.res = res
		c.mu.Unlock()
		return fmt.Sprintf("%d files merged into %d of %d bytes; %d rows kept, %d versions dropped", res.Replaced, res.Files, res.Bytes, res.Rows, res.Dropped), err
	})
	return c, err
}
