package job

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
)

// Status is how far a job is.
type Status string

// The states of a job.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Completed Status = "completed"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Ended tells whether nothing more will happen.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// Spec says what a job is about.
type Spec struct {
	// Type is what kind of job it is: flush, compact, …
	Type      string            `json:"type"`
	Namespace ident.NamespaceID `json:"namespace,omitempty"`
	Table     ident.TableName   `json:"table,omitempty"`
	// Parameters are what it was asked to do, as texts.
	Parameters []string `json:"parameters,omitempty"`
	// User is who asked for it; empty: the server itself.
	User ident.UserID `json:"user,omitempty"`
	// Origin says why it runs: a statement, the schedule, …
	Origin string `json:"origin,omitempty"`
	// Key is what jobs have in common that must not run at the same time;
	// empty: nothing.
	Key string `json:"key,omitempty"`
}

// Job is a job as system.jobs shows it.
type Job struct {
	ID ident.JobID `json:"id"`
	Spec
	Status Status `json:"status"`
	// Result says what came of it, Error why it failed.
	Result string `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
	// Step is what it was last doing.
	Step string `json:"step,omitempty"`
	// Memory is the most that it held at once, in bytes.
	Memory int64 `json:"memory,omitempty"`
	// CPU is its processor time.
	CPU         time.Duration `json:"cpu_ns,omitempty"`
	CreatedAt   time.Time     `json:"created_at"`
	StartedAt   time.Time     `json:"started_at,omitzero"`
	CompletedAt time.Time     `json:"completed_at,omitzero"`
	Node        ident.NodeID  `json:"node"`
}

// Trace says where and how the job ran: node, origin, and what it was last
// doing.
func (j *Job) Trace() string {
	t := fmt.Sprintf("node=%s origin=%q", j.Node, j.Origin)
	if j.User != "" {
		t += fmt.Sprintf(" user=%q", j.User)
	}
	if j.Step != "" {
		t += fmt.Sprintf(" step=%q", j.Step)
	}
	return t
}

// partition keeps the jobs, by their ids, which grow with time.
var partition = keyenc.CatalogPartition("jobs")

// format is the version of the records.
const format = 1

type record struct {
	Format int `json:"format"`
	Job
}

func encode(j *Job) ([]byte, error) {
	data, err := json.Marshal(record{format, *j})
	if err != nil {
		return nil, fmt.Errorf("encode job %s: %w", j.ID, err)
	}
	return data, nil
}

func decode(key, data []byte) (*Job, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read job %q: %w", key, err)
	}
	if r.Format > format {
		return nil, dberr.Newf(dberr.StorageUnavailable, "The jobs were written by a newer server (format %d, this one knows %d).", r.Format, format).
			WithHint("Start the newer version.")
	}
	return &r.Job, nil
}

// load reads every job, the oldest first.
func load(backend kv.Backend) ([]*Job, error) {
	snap, err := backend.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	defer snap.Release()
	it := snap.Scan(partition, kv.Range{})
	defer it.Close()
	var out []*Job
	for it.Next() {
		data, err := it.Value()
		if err != nil {
			return nil, fmt.Errorf("read jobs: %w", err)
		}
		j, err := decode(it.Key(), data)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return out, nil
}
