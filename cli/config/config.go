// Package config reads and writes the configuration of kalam-cli. It owns the
// file ~/.kalam/config.toml and the KALAM_… environment, and nothing else of
// the program reads either.
//
// What is set twice is taken from the flag, else the environment, else the
// profile, else the file, else the default. A credential gets into the file only
// when the user asks for it.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/kalamdb/kalamdb/cli/theme"
)

// Config is the configuration file.
type Config struct {
	Connection   Connection            `toml:"connection"`
	Output       Output                `toml:"output"`
	Subscription Subscription          `toml:"subscription"`
	History      History               `toml:"history"`
	Profiles     map[string]Connection `toml:"profiles,omitempty"`
}

// Connection says where to connect and as whom.
type Connection struct {
	// Host is the server's address. Default http://localhost:8080.
	Host string `toml:"host,omitempty"`
	// User is sent as X-USER-ID.
	User string `toml:"user,omitempty"`
	// Token is a JSON Web Token.
	Token string `toml:"token,omitempty"`
	// APIKey is an API key.
	APIKey string `toml:"apikey,omitempty"`
	// Namespace is the namespace of unqualified table names.
	Namespace string `toml:"namespace,omitempty"`
	// Timeout bounds how long an answer may take to begin, as in "30s".
	Timeout string `toml:"timeout,omitempty"`
}

// Output says how results look.
type Output struct {
	// Format is table, json, ndjson, csv, tsv, markdown or vertical.
	Format string `toml:"format,omitempty"`
	// Color is "auto", "true" or "false"; a bare boolean is accepted too.
	Color any `toml:"color,omitempty"`
	// Theme is "auto", "dark" or "light": which colours read well.
	Theme string `toml:"theme,omitempty"`
	// Border is ascii, light or rounded.
	Border string `toml:"border,omitempty"`
	// Wide is what happens to values too long for a table's column: "cut" (the
	// default) or "wrap".
	Wide string `toml:"wide,omitempty"`
	// Null stands for NULL in tables.
	Null string `toml:"null,omitempty"`
	// Timing shows how long a statement took. Default true.
	Timing *bool `toml:"timing,omitempty"`
	// PageSize is after how many rows "Press Enter for more..." is asked.
	// Default 1000; 0 means never.
	PageSize *int `toml:"page_size,omitempty"`
}

// Subscription says how SUBSCRIBE TO behaves.
type Subscription struct {
	// LastRows is how many rows come before the changes when the statement
	// does not say.
	LastRows *int `toml:"last_rows,omitempty"`
}

// History says what is remembered of what was typed.
type History struct {
	// Size is how many entries are kept. Default 5000; 0 keeps none.
	Size *int `toml:"size,omitempty"`
}

// DefaultHost is where a server listens when nothing is configured.
const DefaultHost = "http://localhost:8080"

// Dir is the folder of the program's files: KALAM_HOME, else ~/.kalam.
func Dir() (string, error) {
	if d := os.Getenv("KALAM_HOME"); d != "" {
		return d, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w", err)
	}
	return filepath.Join(home, ".kalam"), nil
}

// Error is a configuration file that cannot be used, with the place and the way
// to mend it.
type Error struct {
	Path         string
	Line, Column int
	Reason       string
	Hint         string
}

// Error gives the place, the reason and the way to mend it.
func (e *Error) Error() string {
	at := e.Path
	if e.Line > 0 {
		at += fmt.Sprintf(":%d:%d", e.Line, e.Column)
	}
	s := at + ": " + e.Reason
	if e.Hint != "" {
		s += "\nHint: " + e.Hint
	}
	return s
}

// Load reads the file. A missing file is the empty configuration; exists tells
// which it was.
func Load(path string) (cfg Config, exists bool, err error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Config{}, false, nil
	case err != nil:
		return Config{}, false, fmt.Errorf("read the configuration: %w", err)
	}
	dec := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := dec.Decode(&cfg); err != nil {
		return Config{}, true, explain(path, err)
	}
	return cfg, true, cfg.validate(path, data)
}

func explain(path string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		d := &strict.Errors[0]
		line, col := d.Position()
		return &Error{Path: path, Line: line, Column: col,
			Reason: fmt.Sprintf("there is no setting %q", strings.Join(d.Key(), ".")),
			Hint:   "Remove the line; the settings that exist stand in the README of kalam-cli."}
	}
	var d *toml.DecodeError
	if errors.As(err, &d) {
		line, col := d.Position()
		return &Error{Path: path, Line: line, Column: col, Reason: strings.TrimPrefix(d.Error(), "toml: "),
			Hint: "Mend that line (text needs quotes, as in host = \"http://localhost:8080\"), or delete the file: the next start makes a new one."}
	}
	return &Error{Path: path, Reason: err.Error()}
}

func (c *Config) validate(path string, data []byte) error {
	bad := func(key, reason string) error {
		e := &Error{Path: path, Reason: reason}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if k, _, ok := bytes.Cut(line, []byte("=")); ok && string(bytes.TrimSpace(k)) == key {
				e.Line, e.Column = i+1, 1
			}
		}
		return e
	}
	switch c.Output.Format {
	case "", "table", "json", "ndjson", "csv", "tsv", "markdown", "vertical":
	default:
		return bad("format", fmt.Sprintf("format is %q; it must be table, json, ndjson, csv, tsv, markdown or vertical", c.Output.Format))
	}
	switch c.Output.Border {
	case "", "ascii", "light", "rounded":
	default:
		return bad("border", fmt.Sprintf("border is %q; it must be ascii, light or rounded", c.Output.Border))
	}
	switch c.Output.Wide {
	case "", "cut", "wrap":
	default:
		return bad("wide", fmt.Sprintf("wide is %q; it must be cut or wrap", c.Output.Wide))
	}
	if _, err := ParseColor(fmt.Sprint(c.Output.colorOr("auto"))); err != nil {
		return bad("color", err.Error())
	}
	if c.Output.Theme != "" {
		if err := theme.Check(c.Output.Theme); err != nil {
			return bad("theme", err.Error())
		}
	}
	if n := c.Output.PageSize; n != nil && *n < 0 {
		return bad("page_size", "page_size must not be negative")
	}
	if n := c.Subscription.LastRows; n != nil && *n < -1 {
		return bad("last_rows", "last_rows must be -1 (all) or more")
	}
	if n := c.History.Size; n != nil && *n < 0 {
		return bad("size", "size must not be negative")
	}
	for _, con := range append([]Connection{c.Connection}, values(c.Profiles)...) {
		if con.Timeout != "" {
			if _, err := ParseTimeout(con.Timeout); err != nil {
				return bad("timeout", err.Error())
			}
		}
	}
	return nil
}

func values(m map[string]Connection) []Connection {
	var out []Connection
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func (o *Output) colorOr(def string) any {
	if o.Color == nil {
		return def
	}
	return o.Color
}

// ParseColor reads "auto", "true" (also always, yes, on) or "false" (also
// never, no, off). The answer is nil for auto.
func ParseColor(s string) (*bool, error) {
	t, f := true, false
	switch strings.ToLower(s) {
	case "auto", "":
		return nil, nil
	case "true", "always", "yes", "on", "1":
		return &t, nil
	case "false", "never", "no", "off", "0":
		return &f, nil
	}
	return nil, fmt.Errorf("color is %q; it must be auto, true or false", s)
}

// Look gives the name of the theme to use, by the order of precedence; "" where
// nothing says. flag is the command line's; getenv is os.Getenv when nil.
func (o *Output) Look(flag string, getenv func(string) string) (string, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	for _, name := range []string{flag, getenv("KALAM_THEME"), o.Theme} {
		if name != "" {
			return name, theme.Check(name)
		}
	}
	return "", nil
}

// ParseTimeout reads "30s" or a bare number of seconds.
func ParseTimeout(s string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 0 && n < 1e9 {
		return time.Duration(n * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("timeout is %q; it must look like 30s or 2m", s)
	}
	return d, nil
}

// Overrides are what flags and environment say about the connection; "" means
// nothing.
type Overrides struct {
	Profile string
	Flags   Connection
	// Getenv reads the environment; os.Getenv when nil.
	Getenv func(string) string
}

// Connect gives the connection to use, by the order of precedence.
func (c *Config) Connect(o Overrides) (Connection, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	con := Connection{Host: DefaultHost}
	con.over(c.Connection)
	if o.Profile != "" {
		p, ok := c.Profiles[o.Profile]
		if !ok {
			return con, fmt.Errorf("there is no profile %q; profiles stand in the configuration file as [profiles.%s]", o.Profile, o.Profile)
		}
		if p.Host != "" && p.Host != con.Host {
			con.Token, con.APIKey = "", ""
		}
		con.over(p)
	}
	env := Connection{
		Host: getenv("KALAM_HOST"), User: getenv("KALAM_USER"), Token: getenv("KALAM_TOKEN"),
		APIKey: getenv("KALAM_APIKEY"), Namespace: getenv("KALAM_NAMESPACE"), Timeout: getenv("KALAM_TIMEOUT"),
	}
	// A stored credential is for the host that it was stored with.
	host := env.Host
	if o.Flags.Host != "" {
		host = o.Flags.Host
	}
	if host != "" && host != con.Host {
		con.Token, con.APIKey = "", ""
	}
	con.over(env)
	con.over(o.Flags)
	return con, nil
}

// over replaces what the other names. A credential replaces every other one: a
// token from the file must not accompany an API key from a flag.
func (c *Connection) over(o Connection) {
	if o.Host != "" {
		c.Host = o.Host
	}
	if o.User != "" {
		c.User = o.User
	}
	if o.Token != "" || o.APIKey != "" {
		c.Token, c.APIKey = o.Token, o.APIKey
	}
	if o.Namespace != "" {
		c.Namespace = o.Namespace
	}
	if o.Timeout != "" {
		c.Timeout = o.Timeout
	}
}

// head explains the file to its reader.
const head = `# Configuration of kalam-cli. Flags and KALAM_… environment variables win over
# it. A credential is stored here only by \config save-token.

`

// Create writes the first configuration: host and user, never a credential. It
// leaves a file that is already there as it is.
func Create(path, host, user string) error {
	timing := true
	cfg := Config{Connection: Connection{Host: host, User: user}, Output: Output{Format: "table", Color: "auto", Timing: &timing}}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("create the configuration folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create the configuration: %w", err)
	}
	f.Close()
	return Save(path, cfg)
}

// Save replaces the file, at once and for the owner only, so that a reader or a
// crash never sees half of it.
func Save(path string, cfg Config) error {
	body, err := toml.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("encode the configuration: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".config-*") // has mode 0600
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append([]byte(head), body...))
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}
