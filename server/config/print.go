package config

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the effective configuration as TOML, each value with where it
// came from. Secrets are masked.
func (l *Loaded) Print(w io.Writer) error {
	section := ""
	for _, f := range Fields(&l.Config) {
		dot := strings.LastIndexByte(f.Key, '.')
		if s := f.Key[:dot]; s != section {
			if section != "" {
				if _, err := fmt.Fprintln(w); err != nil {
					return err
				}
			}
			section = s
			if _, err := fmt.Fprintf(w, "[%s]\n", s); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(w, "%-48s # %s\n", f.Key[dot+1:]+" = "+f.TOML(), l.Source(f.Key)); err != nil {
			return err
		}
	}
	return nil
}
