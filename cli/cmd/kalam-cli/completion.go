package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/cli/theme"
)

// fishText escapes a text for fish's single quotes, without the marks around the
// names of values.
var fishText = strings.NewReplacer(`\`, `\\`, "'", `\'`, "`", "")

// completion prints a script made from the flags and commands themselves.
func completion(c *cli.Context) error {
	var flags, cmds []string
	for _, f := range c.App.Flags {
		for _, n := range f.Names() {
			if len(n) == 1 {
				flags = append(flags, "-"+n)
			} else {
				flags = append(flags, "--"+n)
			}
		}
	}
	for _, cmd := range c.App.Commands {
		cmds = append(cmds, cmd.Name)
	}
	words := strings.Join(append(flags, cmds...), " ")
	const formats = "table json ndjson csv tsv markdown vertical"
	switch shell := c.Args().First(); shell {
	case "bash":
		fmt.Printf(`# bash completion of kalam-cli; for example: kalam-cli completion bash > /etc/bash_completion.d/kalam-cli
_kalam_cli() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
  case "$prev" in
    -f|--file|-o|--output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --format) COMPREPLY=($(compgen -W "%s" -- "$cur")); return ;;
    --color) COMPREPLY=($(compgen -W "auto true false" -- "$cur")); return ;;
    --theme) COMPREPLY=($(compgen -W "auto dark light" -- "$cur")); return ;;
    completion) COMPREPLY=($(compgen -W "bash zsh fish powershell" -- "$cur")); return ;;
  esac
  COMPREPLY=($(compgen -W "%s" -- "$cur"))
}
complete -F _kalam_cli kalam-cli
`, formats, words)
	case "zsh":
		fmt.Printf(`#compdef kalam-cli
_kalam_cli() {
  case "${words[CURRENT-1]}" in
    -f|--file|-o|--output) _files; return ;;
    --format) compadd -- %s; return ;;
    --color) compadd -- auto true false; return ;;
    --theme) compadd -- auto dark light; return ;;
    completion) compadd -- bash zsh fish powershell; return ;;
  esac
  compadd -- %s
}
compdef _kalam_cli kalam-cli
# As a file of fpath this is the body of the function that the first TAB calls.
[[ ${funcstack[1]} != _kalam-cli ]] || _kalam_cli
`, formats, words)
	case "fish":
		var b strings.Builder
		b.WriteString("# fish completion of kalam-cli\ncomplete -c kalam-cli -f\n")
		for _, f := range c.App.Flags {
			b.WriteString("complete -c kalam-cli")
			for _, n := range f.Names() {
				if len(n) == 1 {
					b.WriteString(" -s " + n)
				} else {
					b.WriteString(" -l " + n)
				}
				if n == "file" || n == "output" {
					b.WriteString(" -rF")
				}
				switch n {
				case "format":
					b.WriteString(" -xa '" + formats + "'")
				case "color":
					b.WriteString(" -xa 'auto true false'")
				case "theme":
					b.WriteString(" -xa '" + strings.Join(theme.Names, " ") + "'")
				}
			}
			if doc, ok := f.(cli.DocGenerationFlag); ok {
				if doc.TakesValue() {
					b.WriteString(" -r")
				}
				fmt.Fprintf(&b, " -d '%s'", fishText.Replace(doc.GetUsage()))
			}
			b.WriteByte('\n')
		}
		b.WriteString("complete -c kalam-cli -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish powershell'\n")
		for _, cmd := range c.App.Commands {
			fmt.Fprintf(&b, "complete -c kalam-cli -n __fish_use_subcommand -a %s -d '%s'\n", cmd.Name, fishText.Replace(cmd.Usage))
		}
		fmt.Print(b.String())
	case "powershell":
		fmt.Printf(`Register-ArgumentCompleter -Native -CommandName kalam-cli -ScriptBlock {
  param($word, $ast, $position)
  '%s' -split ' ' | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`, words)
	default:
		return fmt.Errorf("completion knows bash, zsh, fish and powershell, not %q", shell)
	}
	return nil
}
