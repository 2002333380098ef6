package exec

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// explained is a step of a plan as JSON.
type explained struct {
	Step    string       `json:"step"`
	Rows    *int64       `json:"rows,omitempty"`
	Batches *int64       `json:"batches,omitempty"`
	Loops   *int64       `json:"loops,omitempty"`
	TimeMS  *float64     `json:"time_ms,omitempty"`
	Memory  *int64       `json:"memory_bytes,omitempty"`
	Workers int64        `json:"workers,omitempty"`
	Inputs  []*explained `json:"inputs,omitempty"`
}

// Explain describes the plan, a row a line, or as one JSON. With analyze it
// runs a query first and tells what each step did: the rows that it gave, the
// time that passed in it and its inputs, the most memory that it held at a
// time itself, and how many goroutines ran it, if several did.
func (p *Plan) Explain(ctx context.Context, env *Env, params []sqltype.Value, analyze, asJSON bool) (Rows, error) {
	var stats map[node]*nodeStats
	var total time.Duration
	var peak int64
	if analyze {
		r := p.newRun(ctx, env, params)
		defer r.acct.end()
		r.stats, r.dynamic = map[node]*nodeStats{}, map[*scanNode][]KeyRange{}
		start := time.Now()
		op := r.open(p.root)
		defer op.Close()
		for {
			b, err := op.Next(ctx)
			if err != nil {
				return nil, err
			}
			if b == nil {
				break
			}
		}
		stats, total, peak = r.stats, time.Since(start), r.acct.peak.Load()
	}
	root := explain(p.root, stats)
	switch {
	case p.write != nil:
		root = explainChange(p)
		if len(p.before) > 0 {
			all := &explained{Step: "Changes"}
			for _, b := range p.before {
				all.Inputs = append(all.Inputs, explainChange(b))
			}
			root = all.with(root)
		}
	case p.point != nil:
		root = &explained{Step: "Direct lookup", Inputs: []*explained{root}}
	}
	if asJSON {
		text, err := json.Marshal(root)
		if err != nil {
			return nil, fmt.Errorf("encode plan: %w", err)
		}
		return &batchRows{batches: []*vector.Batch{vector.FromRow([]sqltype.Type{sqltype.TJSON}, sqltype.Row{sqltype.NewString(sqltype.JSON, string(text))})}}, nil
	}
	b := vector.NewBuilder(sqltype.TText, 8)
	root.write(b, 0)
	if analyze {
		b.AppendString(fmt.Sprintf("Execution time: %.3f ms", float64(total.Microseconds())/1000))
		b.AppendString(fmt.Sprintf("Peak memory: %d bytes", peak))
	}
	n := b.Len()
	return &batchRows{batches: []*vector.Batch{vector.NewBatch([]*vector.Vector{b.Finish()}, n)}}, nil
}

func explain(n node, stats map[node]*nodeStats) *explained {
	e := &explained{Step: strings.TrimSpace(n.label())}
	if stats != nil {
		s := stats[n]
		if s == nil {
			s = &nodeStats{acct: &account{}}
		}
		memory := s.acct.peak.Load()
		ms := float64(s.elapsed.Microseconds()) / 1000
		e.Rows, e.Batches, e.Loops, e.TimeMS, e.Memory, e.Workers = &s.rows, &s.batches, &s.opens, &ms, &memory, s.workers
	}
	for _, in := range n.inputs() {
		e.Inputs = append(e.Inputs, explain(in, stats))
	}
	return e
}

// explainChange describes one change of rows.
func explainChange(p *Plan) *explained {
	what := [...]string{"Insert into", "Update", "Delete from"}[p.write.kind]
	root := &explained{Step: fmt.Sprintf("%s %s", what, p.write.table.Ident()), Inputs: []*explained{explain(p.root, nil)}}
	if c := p.write.conflict; c != nil && c.query != nil {
		root = root.with(&explained{Step: "On conflict", Inputs: []*explained{explain(c.query, nil)}})
	}
	if p.then != nil {
		root = &explained{Step: "Then", Inputs: []*explained{root, explain(p.then, nil)}}
	}
	return root
}

// with is the step with one more input.
func (e *explained) with(in *explained) *explained {
	e.Inputs = append(e.Inputs, in)
	return e
}

func (e *explained) write(b *vector.Builder, depth int) {
	line := strings.Repeat("  ", depth) + e.Step
	if e.Rows != nil {
		line += fmt.Sprintf("  (rows=%d batches=%d loops=%d time=%.3f ms memory=%d bytes", *e.Rows, *e.Batches, *e.Loops, *e.TimeMS, *e.Memory)
		if e.Workers > 0 {
			line += fmt.Sprintf(" workers=%d", e.Workers)
		}
		line += ")"
	}
	b.AppendString(line)
	for _, in := range e.Inputs {
		in.write(b, depth+1)
	}
}
