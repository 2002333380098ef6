package logictest

import (
	"fmt"
	"strconv"
	"strings"
)

// Record is one entry of a script.
type Record struct {
	// Line is where it starts, counted from 1.
	Line int
	// Kind is statement or query.
	Kind string
	// SQL is its text.
	SQL string
	// Error says that it must fail, ErrorText with a message that holds this.
	Error     bool
	ErrorText string
	// Types are the letters behind query; Sort is nosort, rowsort or
	// valuesort.
	Types, Sort string
	// Expected are the result's lines; HasExpected says that there were any,
	// if none.
	Expected    []string
	HasExpected bool
	// Count is the number of rows that "statement count" expects; -1: any.
	Count int64
	// from and to are the lines of the expected result, for rewriting.
	from, to int
}

// Script is a parsed script file.
type Script struct {
	Records []Record
	// HashThreshold is how many values a result has before it is hashed.
	HashThreshold int
	lines         []string
	// foreign says that another engine wrote it down.
	foreign bool
	// brackets says that the script's engine writes arrays as [a, b].
	brackets bool
}

// reader reads scripts line by line.
type reader struct {
	lines  []string
	at     int
	labels map[string]bool
	sort   string
	out    Script
	vars   map[string]string
}

// ParseScript reads a script. labels are the engine names under which skipif
// and onlyif lines count.
func ParseScript(text string, labels []string) (*Script, error) {
	p := &reader{lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), labels: map[string]bool{}, sort: "nosort", vars: map[string]string{}}
	for _, l := range labels {
		p.labels[l] = true
	}
	p.out.foreign, p.out.brackets = !p.labels["kalamdb"], p.labels["datafusion"]
	p.out.lines = p.lines
	err := p.block(len(p.lines))
	return &p.out, err
}

// expand replaces the loop variables of DuckDB's scripts.
func (p *reader) expand(s string) string {
	for k, v := range p.vars {
		s = strings.ReplaceAll(s, "${"+k+"}", v)
		s = strings.ReplaceAll(s, "$"+k, v)
	}
	return s
}

func (p *reader) block(end int) error {
	skip := false
	for p.at < end {
		line := strings.TrimRight(p.lines[p.at], " \t")
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			p.at++
			continue
		}
		switch fields[0] {
		case "halt":
			p.at = len(p.lines)
			return nil
		case "skipif":
			skip = skip || len(fields) > 1 && p.labels[fields[1]]
			p.at++
			continue
		case "onlyif":
			skip = skip || len(fields) > 1 && !p.labels[fields[1]]
			p.at++
			continue
		case "hash-threshold":
			if len(fields) > 1 {
				p.out.HashThreshold, _ = strconv.Atoi(fields[1])
			}
			p.at++
		case "control":
			if len(fields) == 3 && fields[1] == "sortmode" {
				p.sort = fields[2]
			}
			p.at++
		case "statement", "query":
			r, err := p.record(fields, end)
			if err != nil {
				return err
			}
			if !skip {
				p.out.Records = append(p.out.Records, r)
			}
		case "loop", "foreach":
			if err := p.loop(fields, end); err != nil {
				return err
			}
		default:
			// include, require, mode, subtest, sleep, connection, system …
			p.at++
		}
		skip = false
	}
	return nil
}

// loop repeats the records up to its endloop for each value.
func (p *reader) loop(fields []string, end int) error {
	var values []string
	switch {
	case fields[0] == "loop" && len(fields) == 4:
		from, err1 := strconv.Atoi(p.expand(fields[2]))
		to, err2 := strconv.Atoi(p.expand(fields[3]))
		if err1 != nil || err2 != nil {
			return fmt.Errorf("line %d: bad loop", p.at+1)
		}
		for i := from; i < to; i++ {
			values = append(values, strconv.Itoa(i))
		}
	case fields[0] == "foreach" && len(fields) >= 2:
		values = fields[2:]
	default:
		return fmt.Errorf("line %d: bad %s", p.at+1, fields[0])
	}
	start, depth, stop := p.at+1, 1, p.at+1
	for ; stop < end; stop++ {
		f := strings.Fields(p.lines[stop])
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "loop", "foreach":
			depth++
		case "endloop":
			depth--
		}
		if depth == 0 {
			break
		}
	}
	for _, v := range values {
		p.vars[fields[1]] = v
		p.at = start
		if err := p.block(stop); err != nil {
			return err
		}
	}
	delete(p.vars, fields[1])
	p.at = stop + 1
	return nil
}

func (p *reader) record(fields []string, end int) (Record, error) {
	r := Record{Line: p.at + 1, Kind: fields[0], Sort: p.sort, Count: -1}
	args := fields[1:]
	switch {
	case len(args) > 0 && args[0] == "error":
		r.Error = true
		r.ErrorText = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(p.lines[p.at]), fields[0])), "error"))
	case r.Kind == "statement" && len(args) == 2 && args[0] == "count":
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return r, fmt.Errorf("line %d: bad count", r.Line)
		}
		r.Count = n
	case r.Kind == "query":
		if len(args) > 0 && args[0] != "rowsort" && args[0] != "nosort" && args[0] != "valuesort" {
			r.Types, args = args[0], args[1:]
		}
		for _, a := range args {
			switch a {
			case "rowsort", "nosort", "valuesort":
				r.Sort = a
			}
		}
	}
	p.at++
	var sql []string
	for p.at < end && strings.TrimSpace(p.lines[p.at]) != "" && strings.TrimSpace(p.lines[p.at]) != "----" {
		sql = append(sql, p.lines[p.at])
		p.at++
	}
	r.SQL = strings.TrimRight(p.expand(strings.Join(sql, "\n")), "; \n\t")
	r.from, r.to = p.at, p.at
	if p.at < end && strings.TrimSpace(p.lines[p.at]) == "----" {
		p.at++
		r.HasExpected = true
		r.from = p.at
		blank := 0
		for p.at < end {
			l := strings.TrimRight(p.lines[p.at], "\r")
			if l == "" {
				// A multi-line error message ends with two blank lines.
				if !r.Error || blank > 0 {
					break
				}
				blank++
				if p.at+1 >= end || strings.TrimSpace(p.lines[p.at+1]) != "" {
					break
				}
			}
			r.Expected = append(r.Expected, p.expand(l))
			p.at++
		}
		r.to = p.at
	}
	return r, nil
}
