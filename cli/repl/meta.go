package repl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/cli/complete"
	"github.com/kalamdb/kalamdb/cli/config"
	"github.com/kalamdb/kalamdb/cli/render"
	"github.com/kalamdb/kalamdb/cli/theme"
	"github.com/kalamdb/kalamdb/link"
)

// command is a backslash command.
type command struct {
	name, args, help string
	aliases          []string
	run              func(a *App, ctx context.Context, args []string, rest string) error
}

// commands are in the order of \help. They are set in init, since \help itself
// lists them.
var commands []command

func init() {
	commands = []command{
		{name: `\help`, args: "[topic]", help: "shows this, or more about a topic: sql, keys, or a statement such as CREATE TABLE", aliases: []string{`\?`, `\h`}, run: (*App).help},
		{name: `\quit`, help: "leaves (also Ctrl+D)", aliases: []string{`\q`}, run: func(*App, context.Context, []string, string) error { return errQuit }},
		{name: `\connect`, args: "[-h] HOST [-u USER] [--token T]", help: "switches to another server or user", aliases: []string{`\c`}, run: (*App).connect},
		{name: `\config`, args: "[save-token]", help: "shows the session's settings; save-token stores the token in the file", run: (*App).showConfig},
		{name: `\health`, help: "asks how the server is", run: (*App).health},
		{name: `\flush`, args: "[TABLE]", help: "flushes a table, or all tables", run: (*App).flush},
		{name: `\d`, args: "[TABLE]", help: "describes a table, or lists tables", aliases: []string{`\describe`}, run: (*App).describe},
		{name: `\dt`, args: "[NAMESPACE]", help: "lists tables", run: sqlCommand("SHOW TABLES", "SHOW TABLES IN ")},
		{name: `\dn`, help: "lists namespaces", aliases: []string{`\l`}, run: sqlCommand("SHOW NAMESPACES", "")},
		{name: `\stats`, args: "TABLE", help: "shows a table's statistics", run: sqlCommand("", "SHOW TABLE STATS ")},
		{name: `\subscriptions`, help: "lists live queries", run: sqlCommand("SELECT live_id, user_id, namespace, table_name, query, changes, created_at FROM system.live_queries", "")},
		{name: `\pause`, help: "holds the rows of a running stream", run: (*App).noStream},
		{name: `\continue`, help: "lets a held stream go on", run: (*App).noStream},
		{name: `\watch`, args: "[SECONDS] [SQL]", help: "runs a query, or the latest one, again and again (Ctrl+C stops)", run: (*App).watch},
		{name: `\i`, args: "FILE", help: "runs the statements of a file", aliases: []string{`\include`}, run: (*App).include},
		{name: `\o`, args: "[FILE]", help: "sends results to a file, or back to the terminal", run: (*App).output},
		{name: `\copy`, args: "T FROM|TO 'FILE' [WITH (…)]", help: `copies a table from or to a CSV, JSON or NDJSON file; (query) instead of T with TO`, run: (*App).copy},
		{name: `\format`, args: "[FORMAT]", help: "sets the form of results: table, json, ndjson, csv, tsv, markdown, vertical", run: (*App).setFormat},
		{name: `\x`, args: "[on|off|auto]", help: "shows records one below the other", run: (*App).expand},
		{name: `\theme`, args: "[auto|dark|light]", help: "sets the colours for a dark or a light terminal", run: (*App).setTheme},
		{name: `\wrap`, args: "[on|off]", help: "continues long values on further lines instead of cutting them", run: (*App).setWrap},
		{name: `\timing`, args: "[on|off]", help: "shows how long statements take", run: (*App).setTiming},
		{name: `\history`, args: "[N]", help: "shows what was typed", run: (*App).showHistory},
		{name: `\set`, args: "[NAME [VALUE]]", help: `sets a variable, used as :NAME, :'NAME' or :"NAME"`, run: (*App).setVar},
		{name: `\unset`, args: "NAME", help: "forgets a variable", run: (*App).unsetVar},
	}
}

// sqlCommand runs plain when there is no argument and prefix with it otherwise.
func sqlCommand(plain, prefix string) func(*App, context.Context, []string, string) error {
	return func(a *App, ctx context.Context, args []string, rest string) error {
		switch {
		case len(args) > 0 && prefix != "":
			return a.statement(ctx, prefix+rest)
		case len(args) > 0:
			return errors.New("this command takes no argument")
		case plain == "":
			return errors.New("this command needs an argument")
		}
		return a.statement(ctx, plain)
	}
}

// meta runs a backslash command.
func (a *App) meta(ctx context.Context, text string) error {
	text = strings.TrimRight(text, "; \t\r")
	name, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	cmd := findCommand(name)
	if cmd == nil {
		hint := ""
		if s := psql[name]; s != "" {
			hint = "; " + s
		} else if s := nearest(name); s != "" {
			hint = "; did you mean " + s + "?"
		}
		return fmt.Errorf("there is no command %s%s (\\help lists all)", name, hint)
	}
	return cmd.run(a, ctx, fields(rest), rest)
}

// psql says what does here what a command of psql's does there.
var psql = map[string]string{
	`\conninfo`: `\config shows the connection`,
	`\di`:       "there are no indexes beside primary keys, which \\d TABLE shows",
	`\dv`:       `\dt lists views too`,
	`\dtv`:      `\dt lists views too`,
	`\df`:       "SELECT * FROM information_schema.routines lists the functions",
	`\du`:       "SELECT * FROM system.users lists the users",
	`\dg`:       "SELECT * FROM system.users lists the users",
	`\dx`:       "there are no extensions: the functions are built in",
	`\e`:        "Up brings a statement back, with all its lines, to be edited",
	`\s`:        `\history shows what was typed`,
	`\g`:        "end the statement with a semicolon",
	`\pset`:     `\format and \x set the form of results`,
	`\password`: "users have no passwords here: tokens and API keys let them in",
}

func findCommand(name string) *command {
	for i, c := range commands {
		if c.name == name {
			return &commands[i]
		}
		for _, al := range c.aliases {
			if al == name {
				return &commands[i]
			}
		}
	}
	return nil
}

// nearest finds a command that begins like the mistyped one.
func nearest(name string) string {
	for n := len(name); n > 1; n-- {
		for _, c := range commands {
			if strings.HasPrefix(c.name, name[:n]) {
				return c.name
			}
		}
	}
	return ""
}

// fields cuts arguments at spaces outside quotes and takes the quotes off.
func fields(s string) []string {
	var out []string
	var b strings.Builder
	quote, open := byte(0), false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == ' ' || c == '\t':
			if open {
				out = append(out, b.String())
				b.Reset()
				open = false
			}
		default:
			b.WriteByte(c)
			open = true
		}
	}
	if open {
		out = append(out, b.String())
	}
	return out
}

func completions() []complete.Candidate {
	var out []complete.Candidate
	for _, c := range commands {
		out = append(out, complete.Candidate{Text: c.name, Kind: complete.Command, Help: c.help})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Text < out[j].Text })
	return out
}

// arguments are the words that may follow a backslash command.
func arguments(name string) []string {
	switch name {
	case `\format`:
		var out []string
		for _, f := range render.Formats {
			out = append(out, string(f))
		}
		return out
	case `\timing`, `\wrap`:
		return []string{"on", "off"}
	case `\x`:
		return []string{"on", "off", "auto"}
	case `\theme`:
		return theme.Names
	case `\help`, `\?`, `\h`:
		return helpTopics()
	case `\config`:
		return []string{"save-token"}
	case `\connect`, `\c`:
		return []string{"-h", "-u", "--token", "--apikey", "-n"}
	}
	return nil
}

func (a *App) connect(ctx context.Context, args []string, _ string) error {
	con := a.con
	next := config.Connection{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		value := func() (string, error) {
			if _, v, ok := strings.Cut(arg, "="); ok {
				return v, nil
			}
			if i++; i >= len(args) {
				return "", fmt.Errorf("%s needs a value", arg)
			}
			return args[i], nil
		}
		var err error
		name, _, _ := strings.Cut(arg, "=")
		switch name {
		case "-h", "--host":
			next.Host, err = value()
		case "-u", "--user":
			next.User, err = value()
		case "--token":
			next.Token, err = value()
		case "--apikey":
			next.APIKey, err = value()
		case "-n", "--namespace":
			next.Namespace, err = value()
		default:
			switch {
			case strings.HasPrefix(arg, "-"):
				err = fmt.Errorf(`\connect does not know %s; it takes -h, -u, --token, --apikey and -n`, arg)
			case next.Host == "":
				next.Host = arg
			case next.User == "":
				next.User = arg
			default:
				err = fmt.Errorf("there is one argument too many: %s", arg)
			}
		}
		if err != nil {
			return err
		}
	}
	if next.Host != "" && next.Host != con.Host {
		con.Host, con.Token, con.APIKey, con.Namespace = next.Host, "", "", ""
	}
	if next.User != "" {
		con.User = next.User
	}
	if next.Token != "" || next.APIKey != "" {
		con.Token, con.APIKey = next.Token, next.APIKey
	}
	if next.Namespace != "" {
		con.Namespace = next.Namespace
	}
	client, err := a.newClient(con, "")
	if err != nil {
		return err
	}
	if err := client.Ping(ctx); err != nil {
		client.Close()
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%s; still connected to %s", a.connectionLine(client.URL(), err), a.client.URL())
	}
	a.setClient(client, con)
	a.say("%s", a.connectedLine())
	return nil
}

func (a *App) connectedLine() string {
	who := a.con.User
	if who == "" {
		who = "the server's default user"
	}
	s := fmt.Sprintf("Connected to %s as %s", a.client.URL(), render.Safe(who))
	if a.con.Namespace != "" {
		s += ", namespace " + render.Safe(a.con.Namespace)
	}
	return s + "."
}

func (a *App) showConfig(_ context.Context, args []string, _ string) error {
	if len(args) > 0 {
		if args[0] != "save-token" {
			return fmt.Errorf(`\config does not know %q; it takes save-token or nothing`, args[0])
		}
		return a.saveToken()
	}
	auth := "none"
	switch {
	case a.con.Token != "":
		auth = "token (hidden)"
	case a.con.APIKey != "":
		auth = "API key (hidden)"
	}
	out := "terminal"
	if a.outFile != nil {
		out = a.outFile.Name()
	}
	var vars []string
	for k, v := range a.vars {
		vars = append(vars, k+"="+v)
	}
	sort.Strings(vars)
	for _, kv := range [][2]string{
		{"host", a.client.URL()}, {"user", a.con.User}, {"namespace", a.con.Namespace}, {"credentials", auth},
		{"session", a.client.Session()}, {"format", string(a.format)}, {"expanded", a.expanded}, {"wrap", onOff(a.wrap)}, {"timing", onOff(a.timing)},
		{"color", onOff(a.colorOut)}, {"theme", a.themeName}, {"output", out}, {"page size", strconv.Itoa(a.pageSize)}, {"pager", pagerName()},
		{"variables", strings.Join(vars, " ")}, {"file", a.o.ConfigPath},
	} {
		fmt.Fprintf(a.out, "%-12s %s\n", kv[0], render.Safe(kv[1]))
	}
	return nil
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func (a *App) saveToken() error {
	if a.con.Token == "" && a.con.APIKey == "" {
		return errors.New("this session has no token to save")
	}
	cfg, _, err := config.Load(a.o.ConfigPath)
	if err != nil {
		return err
	}
	cfg.Connection.Host, cfg.Connection.User = a.con.Host, a.con.User
	cfg.Connection.Token, cfg.Connection.APIKey = a.con.Token, a.con.APIKey
	if err := os.MkdirAll(filepath.Dir(a.o.ConfigPath), 0o700); err != nil {
		return err
	}
	if err := config.Save(a.o.ConfigPath, cfg); err != nil {
		return err
	}
	a.notice("Saved in %s. Warning: whoever can read that file can act as you.", a.o.ConfigPath)
	return nil
}

func (a *App) health(ctx context.Context, _ []string, _ string) error {
	start := time.Now()
	h, err := a.client.Health(ctx)
	if err != nil {
		return err
	}
	a.status.set(online)
	fmt.Fprintf(a.out, "status   %s\nversion  %s (API %s, commit %s)\nuptime   %s\nanswer   in %s\n",
		render.Safe(h.Status), render.Safe(h.Version), render.Safe(h.APIVersion), render.Safe(h.Commit),
		(time.Duration(h.UptimeSeconds * float64(time.Second))).Round(time.Second), since(start))
	return nil
}

func (a *App) flush(ctx context.Context, args []string, rest string) error {
	if len(args) == 0 {
		return a.statement(ctx, "FLUSH ALL TABLES")
	}
	return a.statement(ctx, "FLUSH TABLE "+rest)
}

func (a *App) describe(ctx context.Context, args []string, rest string) error {
	if len(args) == 0 {
		return a.statement(ctx, "SHOW TABLES")
	}
	return a.statement(ctx, "DESCRIBE "+rest)
}

func (a *App) noStream(context.Context, []string, string) error {
	return errors.New("no stream is running; SUBSCRIBE TO t; starts one")
}

func (a *App) watch(ctx context.Context, args []string, rest string) error {
	every := 2 * time.Second
	if len(args) > 0 {
		if d, err := config.ParseTimeout(args[0]); err == nil {
			if d < 100*time.Millisecond {
				return errors.New(`\watch needs at least 0.1 seconds`)
			}
			every = d
			rest = strings.TrimSpace(strings.TrimPrefix(rest, args[0]))
		}
	}
	if rest == "" {
		rest = a.last
	}
	if rest == "" {
		return errors.New(`\watch needs a query, as in \watch 2 SELECT count(*) FROM app.t`)
	}
	a.unpaged = true
	defer func() { a.unpaged = false }()
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		fmt.Fprintf(a.out, "%s  (every %s)\n", time.Now().Format("2006-01-02 15:04:05"), every)
		if err := a.statement(ctx, rest); err != nil {
			return err
		}
		a.out.Flush()
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (a *App) include(ctx context.Context, args []string, _ string) error {
	if len(args) != 1 {
		return errors.New(`\i needs a file`)
	}
	if a.depth >= 16 {
		return errors.New("files include each other too deep")
	}
	a.depth++
	defer func() { a.depth-- }()
	data, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", args[0], pathReason(err))
	}
	// Each statement gets its own Ctrl+C, which then ends the file.
	err = a.RunText(context.WithoutCancel(ctx), string(data), args[0])
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (a *App) output(_ context.Context, args []string, _ string) error {
	switch len(args) {
	case 0:
		return a.redirect("")
	case 1:
		return a.redirect(args[0])
	}
	return errors.New(`\o takes one file`)
}

func (a *App) setFormat(_ context.Context, args []string, _ string) error {
	if len(args) == 0 {
		fmt.Fprintln(a.out, a.format)
		return nil
	}
	f, err := render.ParseFormat(args[0])
	if err != nil {
		return err
	}
	a.format = f
	a.notice("The format is %s.", f)
	return nil
}

func (a *App) expand(_ context.Context, args []string, _ string) error {
	switch {
	case len(args) == 0 && a.expanded == "on":
		a.expanded = "auto"
	case len(args) == 0:
		a.expanded = "on"
	case args[0] == "on" || args[0] == "off" || args[0] == "auto":
		a.expanded = args[0]
	default:
		return errors.New(`\x takes on, off or auto`)
	}
	a.notice("Expanded display is %s.", a.expanded)
	return nil
}

func (a *App) setTiming(_ context.Context, args []string, _ string) error {
	switch {
	case len(args) == 0:
		a.timing = !a.timing
	case args[0] == "on":
		a.timing = true
	case args[0] == "off":
		a.timing = false
	default:
		return errors.New(`\timing takes on or off`)
	}
	a.notice("Timing is %s.", onOff(a.timing))
	return nil
}

func (a *App) setTheme(_ context.Context, args []string, _ string) error {
	if len(args) > 1 {
		return errors.New(`\theme takes auto, dark or light`)
	}
	if len(args) == 1 {
		if err := theme.Check(args[0]); err != nil {
			return err
		}
		a.useTheme(args[0])
	}
	a.notice("The theme is %s.", a.themeName)
	return nil
}

func (a *App) setWrap(_ context.Context, args []string, _ string) error {
	switch {
	case len(args) == 0:
		a.wrap = !a.wrap
	case args[0] == "on":
		a.wrap = true
	case args[0] == "off":
		a.wrap = false
	default:
		return errors.New(`\wrap takes on or off`)
	}
	a.notice("Long values are %s.", map[bool]string{true: "wrapped", false: "cut"}[a.wrap])
	return nil
}

func (a *App) showHistory(_ context.Context, args []string, _ string) error {
	if a.hist == nil {
		return errors.New("there is a history only while somebody types")
	}
	lines := a.hist.Lines()
	n := len(lines)
	if len(args) > 0 {
		v, err := strconv.Atoi(args[0])
		if err != nil || v < 0 {
			return fmt.Errorf("%q is not a number of entries", args[0])
		}
		n = min(v, n)
	}
	for i, l := range lines[len(lines)-n:] {
		fmt.Fprintf(a.out, "%5d  %s\n", len(lines)-n+i+1, render.Safe(l))
	}
	return nil
}

func (a *App) setVar(_ context.Context, args []string, _ string) error {
	switch len(args) {
	case 0:
		var names []string
		for k := range a.vars {
			names = append(names, k)
		}
		sort.Strings(names)
		for _, k := range names {
			fmt.Fprintf(a.out, "%s = '%s'\n", k, render.Safe(a.vars[k]))
		}
		return nil
	case 1:
		a.vars[args[0]] = ""
		return nil
	}
	a.vars[args[0]] = strings.Join(args[1:], " ")
	return nil
}

func (a *App) unsetVar(_ context.Context, args []string, _ string) error {
	for _, n := range args {
		delete(a.vars, n)
	}
	return nil
}

// setClient goes over to another connection.
func (a *App) setClient(c *link.Client, con config.Connection) {
	a.mu.Lock()
	old, oldRoot := a.client, a.root
	a.client, a.root, a.con = c, c, con
	a.mu.Unlock()
	old.Close()
	oldRoot.Close()
	a.status.set(online)
	a.refreshNames()
}
