package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/kalamdb/kalamdb/commons/config"
)

// DefaultFile is the file that is read when none is named, if it is there.
const DefaultFile = "config.toml"

// EnvPrefix begins the name of every environment variable of the server.
const EnvPrefix = "KALAMDB_"

// Where a value can come from. A value of the file has the file's name and
// line instead.
const (
	SourceDefault = "default"
	SourceEnv     = "environment"
)

// Options say where to read.
type Options struct {
	// File is the configuration file; empty: config.toml in the working
	// directory, if it is there.
	File string
	// Environ is the environment; default os.Environ().
	Environ []string
	// Executable is the path of the running binary, which decides where the
	// data directory is by default; default os.Executable().
	Executable string
	// WorkingDir is the directory that relative paths start from; default
	// the process's.
	WorkingDir string
}

// Loaded is a configuration and where it came from.
type Loaded struct {
	config.Config
	// File is the file that was read; empty: none.
	File string
	// Warnings are for the log.
	Warnings []string

	source map[string]string
}

// Source tells where a key's value came from.
func (l *Loaded) Source(key string) string {
	if s := l.source[key]; s != "" {
		return s
	}
	return SourceDefault
}

// Load reads the configuration. Its errors are for the user: they name file,
// line and key, or the variable.
func Load(o Options) (*Loaded, error) {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Executable == "" {
		// Without a name the data directory is ./data.
		o.Executable, _ = os.Executable()
	}
	l := &Loaded{Config: config.Default(), source: make(map[string]string)}
	fields := Fields(&l.Config)

	path, named := o.File, o.File != ""
	if !named {
		path = filepath.Join(o.WorkingDir, DefaultFile)
	}
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		l.File = path
		if err := l.readFile(path, text, fields); err != nil {
			return nil, err
		}
	case named || !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if err := l.readEnv(o.Environ, fields); err != nil {
		return nil, err
	}
	l.place(o)
	return l, l.validate()
}

// readEnv takes the values of the environment.
func (l *Loaded) readEnv(environ []string, fields []Field) error {
	byEnv := make(map[string]*Field, len(fields))
	for i := range fields {
		byEnv[fields[i].Env] = &fields[i]
	}
	var errs []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		f := byEnv[name]
		if f == nil {
			l.Warnings = append(l.Warnings, fmt.Sprintf("the environment variable %s is not known%s", name, suggest(name, keysOf(fields, func(f Field) string { return f.Env }))))
			continue
		}
		if err := f.setText(value); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s: %w", name, err))
			continue
		}
		l.source[f.Key] = SourceEnv + " " + name
	}
	sort.Strings(l.Warnings)
	return errors.Join(errs...)
}

// place fills in what depends on where the server runs.
func (l *Loaded) place(o Options) {
	if l.Data.Dir == "" {
		l.Data.Dir = defaultDataDir(o.Executable, o.WorkingDir)
	}
	if _, set := l.source["storage.default_location"]; !set {
		l.Storage.DefaultLocation = filepath.Join(l.Data.Dir, "storage")
	}
}

// defaultDataDir is "data" beside the binary. A binary that `go run` or
// `go test` made lies in a build cache or a temporary directory, which is
// deleted: then it is "data" in the working directory.
func defaultDataDir(executable, workingDir string) string {
	const name = "data"
	here := filepath.Join(workingDir, name)
	if executable == "" {
		return here
	}
	if real, err := filepath.EvalSymlinks(executable); err == nil {
		executable = real
	}
	dir := filepath.Dir(executable)
	for _, part := range strings.Split(filepath.ToSlash(dir), "/") {
		if rest, ok := strings.CutPrefix(part, "go-build"); ok && strings.Trim(rest, "0123456789") == "" {
			return here
		}
	}
	temp := os.TempDir()
	if real, err := filepath.EvalSymlinks(temp); err == nil {
		temp = real
	}
	if rel, err := filepath.Rel(temp, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return here
	}
	return filepath.Join(dir, name)
}

// validate checks the values and says of each wrong one where it came from.
func (l *Loaded) validate() error {
	err := l.Config.Validate()
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for i, e := range all {
		var key *config.KeyError
		if errors.As(e, &key) {
			if src := l.Source(key.Key); src != SourceDefault {
				all[i] = fmt.Errorf("%s: %w", src, e)
			}
		}
	}
	return errors.Join(all...)
}

func keysOf(fields []Field, name func(Field) string) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = name(f)
	}
	return out
}

// suggest gives the nearest of the known names, when one is near.
func suggest(name string, known []string) string {
	best, least := "", 4
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is how many letters must be added, dropped or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		corner := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := corner
			if a[i-1] != b[j-1] {
				change++
			}
			corner = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
