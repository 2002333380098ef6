// Command kalam-cli is the interactive client of KalamDB: SQL, live queries and
// administration from the terminal, from scripts and from pipes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/cli/repl"
)

func main() { os.Exit(run(os.Args)) }

// run gives the exit code.
func run(args []string) int {
	err := newApp().RunContext(context.Background(), args)
	var status repl.ExitStatus
	switch {
	case err == nil:
		return repl.ExitOK
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(os.Stderr, "kalam-cli: %v\n", err)
	return repl.ExitError
}

func newApp() *cli.App {
	// -h is the host, as in psql and mysql; help is --help alone.
	cli.HelpFlag = &cli.BoolFlag{Name: "help", Usage: "show this help", DisableDefaultText: true}
	app := cli.NewApp()
	app.Name = "kalam-cli"
	app.Usage = "the interactive client of KalamDB"
	app.UsageText = "kalam-cli [options]                      an interactive session\n" +
		"kalam-cli [options] -e SQL | -f FILE     run statements and leave\n" +
		"kalam-cli [options] command              one of the commands below"
	app.Description = "Exit codes: 0 all went well · 1 a statement failed · 2 no connection or bad credentials ·\n" +
		"3 stopped by ON_ERROR_STOP · 130 Ctrl+C.\n" +
		"Settings are taken from flags, else from KALAM_HOST, KALAM_USER, KALAM_TOKEN, KALAM_APIKEY,\n" +
		"KALAM_NAMESPACE, KALAM_TIMEOUT and KALAM_THEME, else from the profile, else from ~/.kalam/config.toml."
	app.HideVersion = true
	app.DisableSliceFlagSeparator = true // SQL is full of commas
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.Flags = append(connectionFlags(), scriptFlags()...)
	app.Action = session
	app.Commands = commands()
	app.OnUsageError = usageError
	return app
}

// repeated is how the library shows that an option may be repeated: by its name,
// again and in brackets, which makes every line of the list wider.
var repeated = regexp.MustCompile(` \[ -[^\]]*\]`)

func init() {
	text := cli.FlagStringer
	cli.FlagStringer = func(f cli.Flag) string { return repeated.ReplaceAllString(text(f), "") }
}

func usageError(c *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w (kalam-cli --help lists the options)", err)
}

func connectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "host", Aliases: []string{"h"}, Usage: "the server's `URL` (default http://localhost:8080)"},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "act as `USER`"},
		&cli.StringFlag{Name: "token", Usage: "authenticate with a `JWT` (others may see it in ps: KALAM_TOKEN and --token-stdin hide it)"},
		&cli.BoolFlag{Name: "token-stdin", DisableDefaultText: true, Usage: "read the token from the first line of the standard input"},
		&cli.StringFlag{Name: "apikey", Usage: "authenticate with an API `KEY`"},
		&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "look unqualified tables up in `NS`"},
		&cli.StringFlag{Name: "timeout", Usage: "wait at most `LONG` for an answer to begin, as in 30s"},
		&cli.StringFlag{Name: "profile", Usage: "use the connection `NAME` of the configuration file"},
	}
}

func scriptFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "execute", Aliases: []string{"e"}, Usage: "run `SQL` and leave (may be repeated)"},
		&cli.StringSliceFlag{Name: "file", Aliases: []string{"f"}, Usage: "run the statements of `FILE` and leave; - is the standard input"},
		&cli.StringFlag{Name: "format", Usage: "write results as `FORMAT`: table, json, ndjson, csv, tsv, markdown, vertical"},
		&cli.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "short for --format json"},
		&cli.BoolFlag{Name: "csv", DisableDefaultText: true, Usage: "short for --format csv"},
		&cli.StringFlag{Name: "color", Usage: "use colours: auto, true or false (`WHEN`)"},
		&cli.StringFlag{Name: "theme", Usage: "choose the colours for a terminal that is `BRIGHTNESS`: auto, dark or light"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write results to `FILE`"},
		&cli.BoolFlag{Name: "no-pager", DisableDefaultText: true, Usage: "do not stop after each page of rows"},
		&cli.StringSliceFlag{Name: "variable", Aliases: []string{"v"}, Usage: "set a variable, as `NAME=VALUE` (may be repeated)"},
		&cli.BoolFlag{Name: "version", Aliases: []string{"V"}, Usage: "show the version", DisableDefaultText: true},
	}
}
