package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/cli/repl"
	"github.com/kalamdb/kalamdb/commons/buildinfo"
)

func commands() []*cli.Command {
	list := []*cli.Command{
		{Name: "version", Usage: "show the version", Action: printVersion},
		{Name: "ping", Usage: "measure how long the server takes to answer", Action: ping, OnUsageError: usageError,
			Flags: []cli.Flag{&cli.IntFlag{Name: "count", Aliases: []string{"c"}, Value: 4, Usage: "ask `N` times"}}},
		{Name: "tail", Usage: "show the changes of a query as they happen", ArgsUsage: "'SELECT …'", Action: tail, OnUsageError: usageError,
			Flags: []cli.Flag{&cli.IntFlag{Name: "last", Usage: "show the newest `N` rows first"}}},
		{Name: "bench", Usage: "put a small load on the server and show its latency", Action: bench, OnUsageError: usageError,
			Flags: []cli.Flag{
				&cli.IntFlag{Name: "clients", Value: 8, Usage: "use `N` clients at once"},
				&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "run for `LONG`"},
				&cli.StringFlag{Name: "sql", Value: "SELECT 1", Usage: "run this `STATEMENT`"},
			}},
		{Name: "completion", Usage: "print the completion script of a shell", ArgsUsage: "bash|zsh|fish|powershell", Action: completion},
		{Name: "man", Usage: "print the manual page", Action: man},
	}
	for _, command := range list {
		command.HideHelpCommand = true
	}
	return list
}

func printVersion(*cli.Context) error {
	b := buildinfo.Get()
	fmt.Printf("kalam-cli %s (commit %s, branch %s)\n", b.Version, b.Commit, b.Branch)
	return nil
}

// withApp opens the App for a command that needs the server.
func withApp(c *cli.Context, check bool, f func(*repl.App) error) error {
	app, err := open(c)
	if err != nil {
		return err
	}
	if check {
		err = app.Check(c.Context)
	}
	if err == nil {
		err = f(app)
	}
	if cerr := app.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("write the output: %w", cerr)
	}
	return err
}

func ping(c *cli.Context) error {
	if c.Int("count") < 1 {
		return errors.New("--count must be at least 1")
	}
	return withApp(c, false, func(a *repl.App) error { return a.PingLoop(c.Context, c.Int("count")) })
}

func tail(c *cli.Context) error {
	if c.NArg() != 1 {
		return errors.New("tail needs one query, as in kalam-cli tail 'SELECT * FROM app.t' (options stand before it)")
	}
	var last *int
	if c.IsSet("last") {
		n := c.Int("last")
		last = &n
	}
	return withApp(c, true, func(a *repl.App) error { return a.Tail(c.Context, c.Args().First(), last) })
}

func bench(c *cli.Context) error {
	if c.Int("clients") < 1 || c.Int("clients") > 1024 || c.Duration("duration") <= 0 {
		return errors.New("--clients must be 1 to 1024 and --duration more than 0")
	}
	return withApp(c, true, func(a *repl.App) error {
		return a.Bench(c.Context, c.Int("clients"), c.Duration("duration"), c.String("sql"))
	})
}

func man(c *cli.Context) error {
	page, err := c.App.ToManWithSection(1)
	if err != nil {
		return fmt.Errorf("write the manual page: %w", err)
	}
	_, err = os.Stdout.WriteString(strings.TrimRight(page, "\n") + "\n" + manRest())
	return err
}

// manRest is what the library does not know of: the commands of a session, the
// environment and the files.
func manRest() string {
	var b strings.Builder
	entry := func(term, text string) {
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fP\n%s\n", roff.Replace(term), roff.Replace(text))
	}
	b.WriteString(".SH INTERACTIVE COMMANDS\nStatements end with a semicolon; these end with the line.\n")
	for _, cmd := range repl.Commands() {
		entry(cmd.Usage, cmd.Help)
	}
	b.WriteString(".SH ENVIRONMENT\n")
	entry("KALAM_HOST, KALAM_USER, KALAM_TOKEN, KALAM_APIKEY, KALAM_NAMESPACE, KALAM_TIMEOUT", "the connection, where no flag says otherwise")
	entry("KALAM_THEME, COLORFGBG, NO_COLOR", "the colours: auto, dark or light; what the terminal says of itself; none")
	entry("KALAM_PAGER, PAGER", "the program that shows results longer than the screen")
	entry("KALAM_HOME", "the folder of the files below, instead of ~/.kalam")
	b.WriteString(".SH FILES\n")
	entry("~/.kalam/config.toml", "the settings: [connection], [output], [subscription], [history], [profiles.NAME]")
	entry("~/.kalam/history", "what was typed, without the lines that hold a credential")
	return b.String()
}

// roff escapes what troff would obey.
var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`)
