package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/server/config"
)

// maxFindings is how many findings a report in JSON holds; all are counted.
const maxFindings = 10_000

// errFaults ends a check that has found faults.
var errFaults = errors.New("the database has faults")

// checkReport is what check prints with --json.
type checkReport struct {
	DataDir    string    `json:"data_dir"`
	Backend    string    `json:"backend"`
	Format     uint32    `json:"format"`
	Sequence   uint64    `json:"sequence"`
	Tables     int       `json:"tables"`
	Partitions int64     `json:"partitions"`
	HotRows    int64     `json:"hot_rows"`
	ColdRows   int64     `json:"cold_rows"`
	Files      int64     `json:"files"`
	Bytes      int64     `json:"bytes"`
	Faults     int       `json:"faults"`
	Notes      int       `json:"notes"`
	Findings   []finding `json:"findings"`
}

type finding struct {
	Fault bool   `json:"fault"`
	Table string `json:"table,omitempty"`
	File  string `json:"file,omitempty"`
	Text  string `json:"text"`
}

func (f finding) print(w io.Writer) {
	kind := "note"
	if f.Fault {
		kind = "FAULT"
	}
	line := kind + ": "
	if f.Table != "" {
		line += "table " + f.Table + ": "
	}
	if f.File != "" {
		line += "file " + f.File + ": "
	}
	fmt.Fprintln(w, line+f.Text)
}

// offline opens the database for looking at it.
func (c *commands) offline(ctx context.Context, loaded *config.Loaded) (*core.Offline, error) {
	o, err := core.OpenOffline(ctx, loaded.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, &exitError{ExitData, err}
	}
	return o, nil
}

// check verifies the database while no server has it.
func (c *commands) check(ctx *cli.Context) (err error) {
	loaded, err := c.load(ctx)
	if err != nil {
		return err
	}
	o, err := c.offline(ctx.Context, loaded)
	if err != nil {
		if errors.Is(err, core.ErrInUse) {
			return &exitError{ExitData, dberr.Newf(dberr.StorageUnavailable, "A server is using the data directory %s.", loaded.Data.Dir).
				WithHint("check needs the database for itself: stop the server first. inspect works beside it.")}
		}
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	depth := table.Everything
	if ctx.Bool("quick") {
		depth = table.Ends
	}
	asJSON := ctx.Bool("json")
	r, err := c.audit(ctx.Context, o, depth, func(f finding) {
		if !asJSON {
			f.print(c.env.Stdout)
		}
	})
	if err != nil {
		return &exitError{ExitData, err}
	}
	r.DataDir, r.Backend = loaded.Data.Dir, loaded.Store.Backend
	if asJSON {
		err = c.printJSON(r)
	} else {
		r.print(c.env.Stdout)
	}
	if err == nil && r.Faults > 0 {
		err = errFaults
	}
	if err != nil {
		return &exitError{ExitFault, err}
	}
	return nil
}

func (c *commands) audit(ctx context.Context, o *core.Offline, depth table.Depth, hear func(finding)) (*checkReport, error) {
	r := &checkReport{Findings: []finding{}}
	res, err := o.Audit(ctx, depth, func(f table.Finding) {
		one := finding(f)
		hear(one)
		if f.Fault {
			r.Faults++
		} else {
			r.Notes++
		}
		if len(r.Findings) < maxFindings {
			r.Findings = append(r.Findings, one)
		}
	}, nil)
	if err != nil {
		return nil, err
	}
	r.Format, r.Sequence, r.Tables, r.Partitions = res.Format, uint64(res.Sequence), len(res.Tables), res.Partitions
	for _, t := range res.Tables {
		r.HotRows += t.Hot
		r.ColdRows += t.Cold
		r.Files += t.Files
		r.Bytes += t.Bytes
	}
	return r, nil
}

func (r *checkReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s (%s), format %d, sequence numbers up to %d\n", r.DataDir, r.Backend, r.Format, r.Sequence)
	fmt.Fprintf(w, "%d tables, %d partitions; %d hot rows; %d files of %d bytes with %d row versions\n", r.Tables, r.Partitions, r.HotRows, r.Files, r.Bytes, r.ColdRows)
	switch {
	case r.Faults > 0:
		fmt.Fprintf(w, "%d faults, %d notes\n", r.Faults, r.Notes)
	case r.Notes > 0:
		fmt.Fprintf(w, "no faults, %d notes\n", r.Notes)
	default:
		fmt.Fprintln(w, "no faults")
	}
}

func (c *commands) printJSON(v any) error {
	enc := json.NewEncoder(c.env.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
