package oracle

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
)

// The rules for each of the others.
var (
	//go:embed accepted.txt
	acceptedText string
	//go:embed accepted_duckdb.txt
	acceptedDuckText string
)

// rule is one accepted difference: a difference that all its patterns match.
type rule struct {
	name, reason string
	kind         *regexp.Regexp
	sql          *regexp.Regexp
	ours, theirs *regexp.Regexp // against "SQLSTATE: message" or "n rows"
}

// parseAccepted reads rules: a line [name], then "key: value" lines; a key may
// be left out but for kind and reason. A # begins a comment line.
func parseAccepted(text string) ([]rule, error) {
	var rules []rule
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			rules = append(rules, rule{name: strings.Trim(line, "[]")})
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		if !ok || len(rules) == 0 {
			return nil, fmt.Errorf("accepted differences, line %d: want [name] or key: value", n+1)
		}
		if err := rules[len(rules)-1].set(key, value); err != nil {
			return nil, fmt.Errorf("accepted differences, line %d: %w", n+1, err)
		}
	}
	for _, r := range rules {
		if r.reason == "" || r.kind == nil {
			return nil, fmt.Errorf("accepted differences: rule %s has no reason or no kind", r.name)
		}
	}
	return rules, nil
}

func (r *rule) set(key, value string) error {
	if key == "reason" {
		r.reason = value
		return nil
	}
	re, err := regexp.Compile("(?s)" + value)
	if err != nil {
		return err
	}
	switch key {
	case "kind":
		r.kind = re
	case "sql":
		r.sql = re
	case "ours":
		r.ours = re
	case "theirs":
		r.theirs = re
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

// outcome is what a rule's patterns are matched against.
func outcome(r engine.Result) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return fmt.Sprintf("%d rows", len(r.Rows))
}

// explain gives the name of the rule that a difference falls under, "" for
// none.
func explain(rules []rule, sql string, d *Difference) string {
	matches := func(re *regexp.Regexp, s string) bool { return re == nil || re.MatchString(s) }
	ours, theirs := outcome(d.Ours), outcome(d.Theirs)
	for _, r := range rules {
		if r.kind.MatchString(string(d.Kind)) && matches(r.sql, sql) && matches(r.ours, ours) && matches(r.theirs, theirs) {
			return r.name
		}
	}
	return ""
}
