package config

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/golden"
)

// docs is where the reference pages are.
const docs = "../../docs/architecture"

// meanings gives the doc comments of the configuration's types and fields:
// "Server" and "Server.Host". Fields that are declared together share one.
func meanings(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../commons/config/config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	plain := func(c *ast.CommentGroup) string {
		var p comment.Parser
		text := string((&comment.Printer{TextWidth: -1}).Text(p.Parse(c.Text())))
		return strings.TrimSpace(strings.ReplaceAll(text, "\n", " "))
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.TypeSpec)
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			out[spec.Name.Name] = plain(g.Doc)
			last := ""
			for _, field := range st.Fields.List {
				if field.Doc != nil {
					last = plain(field.Doc)
				}
				for _, name := range field.Names {
					out[spec.Name.Name+"."+name.Name] = last
				}
			}
		}
	}
	return out
}

// TestConfigurationReference holds docs/architecture/configuration.md against
// the code: every key with its type, default and meaning.
func TestConfigurationReference(t *testing.T) {
	says := meanings(t)
	var b bytes.Buffer
	b.WriteString(`# Configuration

<!-- Generated from commons/config by: go test ./server/config -rewrite -->

The server reads the file that ` + "`--config`" + ` names, else ` + "`config.toml`" + ` in the working directory, else none. An environment variable wins over the file. An unknown key or a bad value stops the start, naming file, line and key. ` + "`kalamdb-server config`" + ` prints what is in effect and where each value comes from; secrets are masked.

Durations have a unit: ` + "`500ms`, `30s`, `5m`, `24h`, `7d`" + `. Sizes too: ` + "`64KiB`, `16MiB`, `1GiB`" + `. Lists are comma-separated in the environment. [server/config.example.toml](../../server/config.example.toml) has every key, to begin a file with.

SIGHUP reads the configuration again: ` + "`log.level`, `[rate_limit]`, `query.max_concurrent`, `query.max_running`, `query.max_wait`, `[auth]`" + ` with all keys of tokens, and the TLS certificate take effect at once; the log names changed keys that wait for the next start.
`)
	c := config.Default()
	root := reflect.ValueOf(&c).Elem()
	var section func(v reflect.Value, prefix string)
	section = func(v reflect.Value, prefix string) {
		typ := v.Type()
		name := typ.Name()
		if says[name] == "" {
			t.Errorf("config.%s has no doc comment", name)
		}
		fmt.Fprintf(&b, "\n## [%s]\n\n%s\n\n| key | environment | default | meaning |\n|---|---|---|---|\n", prefix, about(name, says[name]))
		var inner []int
		for i := range typ.NumField() {
			if v.Field(i).Kind() == reflect.Struct {
				inner = append(inner, i)
				continue
			}
			key := prefix + "." + typ.Field(i).Tag.Get("toml")
			meaning := says[name+"."+typ.Field(i).Name]
			if meaning == "" {
				t.Errorf("config.%s.%s has no doc comment", name, typ.Field(i).Name)
			}
			for _, f := range Fields(&c) {
				if f.Key == key {
					fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | %s |\n", typ.Field(i).Tag.Get("toml"), f.Env, f.TOML(), cell(typ.Field(i).Name, meaning, f.TOML()))
				}
			}
		}
		for _, i := range inner {
			section(v.Field(i), prefix+"."+typ.Field(i).Tag.Get("toml"))
		}
	}
	for i := range root.NumField() {
		section(root.Field(i), root.Type().Field(i).Tag.Get("toml"))
	}
	for _, f := range Fields(&c) {
		if !strings.Contains(b.String(), "`"+f.Env+"`") {
			t.Errorf("%s is not on the page", f.Key)
		}
	}
	golden.Page(t, docs+"/configuration.md", b.String())
}

// about is a type's comment without its name: "Server says where…" is "Says
// where…".
func about(name, text string) string {
	text = strings.TrimPrefix(text, name+" ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// cell is a field's comment as the page has it: without the name that only the
// code knows, and without the default when that stands in its own column.
func cell(name, text, value string) string {
	if _, rest, ok := strings.Cut(text, " are PEM files"); ok {
		text = "PEM files" + rest
	}
	text = strings.TrimPrefix(text, name+" ")
	for _, verb := range []string{"is ", "are "} {
		text = strings.TrimPrefix(text, verb)
	}
	if i := strings.LastIndex(text, " Default "); i > 0 && value != `""` {
		text = text[:i]
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	return strings.ReplaceAll(text, "|", "\\|")
}

// TestErrorReference holds docs/architecture/errors.md against the codes.
func TestErrorReference(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`# Error codes

<!-- Generated from commons/dberr by: go test ./server/config -rewrite -->

An answer that fails has an ` + "`error`" + ` with ` + "`code`" + ` (programs branch on it), ` + "`sqlstate`, `message`" + ` and sometimes ` + "`hint`" + ` (for people), the number and text of the statement, and its line and column where they are known. A code never changes its meaning. The HTTP status is the one below; paths and methods that do not exist, and bodies that are no JSON, have 404, 405 and 415. With 429 and 503 comes ` + "`Retry-After`" + `.

Over WebSocket the same codes come in messages of type ` + "`error`" + `: with a ` + "`subscription_id`" + ` the subscription did not begin or has ended; without one it concerns the connection.

| code | HTTP | SQLSTATE | meaning |
|---|---|---|---|
`)
	for _, in := range dberr.Codes() {
		fmt.Fprintf(&b, "| `%s` | %d | `%s` | %s |\n", in.Code, in.HTTPStatus, in.SQLState, in.Meaning)
	}
	golden.Page(t, docs+"/errors.md", b.String())
}
