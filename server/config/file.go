package config

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// readFile takes the values of a configuration file.
func (l *Loaded) readFile(path string, text []byte, fields []Field) error {
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		var d *toml.DecodeError
		if errors.As(err, &d) {
			line, column := d.Position()
			return fmt.Errorf("%s:%d:%d: %s", path, line, column, strings.TrimPrefix(d.Error(), "toml: "))
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	lines := keyLines(text)
	at := func(key string) string {
		if line := lines[key]; line > 0 {
			return fmt.Sprintf("%s:%d", path, line)
		}
		return path
	}
	known := make(map[string]*Field, len(fields))
	sections := make(map[string]bool)
	for i := range fields {
		key := fields[i].Key
		known[key] = &fields[i]
		for dot := strings.LastIndexByte(key, '.'); dot > 0; dot = strings.LastIndexByte(key[:dot], '.') {
			sections[key[:dot]] = true
		}
	}
	var errs []error
	flatten(tree, "", sections, func(key string, value any) {
		f := known[key]
		if f == nil {
			kind := "key"
			if _, isTable := value.(map[string]any); isTable {
				kind = "section"
			}
			hint := suggest(key, keysOf(fields, func(f Field) string { return f.Key }))
			errs = append(errs, fmt.Errorf("%s: unknown %s %s%s", at(key), kind, key, hint))
			return
		}
		if err := f.setTOML(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", at(key), key, err))
			return
		}
		l.source[key] = at(key)
	})
	sort.SliceStable(errs, func(i, j int) bool { return lineOf(errs[i], path) < lineOf(errs[j], path) })
	return errors.Join(errs...)
}

// lineOf is the line that an error of readFile names.
func lineOf(err error, path string) (line int) {
	_, _ = fmt.Sscanf(strings.TrimPrefix(err.Error(), path+":"), "%d", &line)
	return line
}

// flatten visits every value that is not one of the sections.
func flatten(tree map[string]any, prefix string, sections map[string]bool, visit func(string, any)) {
	for name, value := range tree {
		key := name
		if prefix != "" {
			key = prefix + "." + name
		}
		if sub, isTable := value.(map[string]any); isTable && sections[key] {
			flatten(sub, key, sections, visit)
			continue
		}
		visit(key, value)
	}
}

// keyLines finds the line of every key and section of a file that is valid
// TOML.
func keyLines(text []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(text)
	section := ""
	for p.NextExpression() {
		e := p.Expression()
		var parts []string
		line := 0
		for it := e.Key(); it.Next(); {
			n := it.Node()
			if line == 0 {
				line = p.Shape(n.Raw).Start.Line
			}
			parts = append(parts, string(n.Data))
		}
		key := strings.Join(parts, ".")
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			section = key
		case unstable.KeyValue:
			if section != "" {
				key = section + "." + key
			}
			inlineLines(e.Value(), key, line, lines)
		}
		for k := key; k != ""; {
			if _, has := lines[k]; !has {
				lines[k] = line
			}
			dot := strings.LastIndexByte(k, '.')
			k = k[:max(dot, 0)]
		}
	}
	return lines
}

// inlineLines adds the keys of an inline table.
func inlineLines(n *unstable.Node, prefix string, line int, lines map[string]int) {
	if n == nil || n.Kind != unstable.InlineTable {
		return
	}
	for it := n.Children(); it.Next(); {
		kv := it.Node()
		var parts []string
		for k := kv.Key(); k.Next(); {
			parts = append(parts, string(k.Node().Data))
		}
		key := prefix + "." + strings.Join(parts, ".")
		lines[key] = line
		inlineLines(kv.Value(), key, line, lines)
	}
}
