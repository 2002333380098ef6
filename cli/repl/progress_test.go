package repl

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	in := &meter{r: strings.NewReader(strings.Repeat("x", 50)), size: 100}
	if got, want := progressLine(in, 0, 0), "["+strings.Repeat(" ", 24)+"]   0 %  0 rows"; got != want {
		t.Errorf("at the start %q", got)
	}
	if _, err := in.Read(make([]byte, 50)); err != nil {
		t.Fatal(err)
	}
	if got, want := progressLine(in, 1500, 2*time.Second), "["+strings.Repeat("=", 12)+strings.Repeat(" ", 12)+"]  50 %  1,500 rows  750/s"; got != want {
		t.Errorf("half way %q", got)
	}
	// A pipe has no size, so nobody knows how far it is.
	if got, want := progressLine(&meter{}, 10, time.Second), "10 rows  10/s"; got != want {
		t.Errorf("without a size %q", got)
	}
}

func TestStatusLineMeasuresTheRate(t *testing.T) {
	began := time.Now()
	l := statusLine{on: true, began: began}
	l.measure(100, began.Add(100*time.Millisecond))
	if l.rate != 0 {
		t.Errorf("after a tenth of a second the rate is %v", l.rate)
	}
	l.measure(1000, began.Add(time.Second))
	if l.rate != 1000 {
		t.Errorf("1,000 in a second are %v/s", l.rate)
	}
	for i := 2; i < 60; i++ { // and then nothing any more
		l.measure(1000, began.Add(time.Duration(i)*time.Second))
	}
	if l.rate != 0 {
		t.Errorf("after a minute of silence the rate is %v", l.rate)
	}
}

func TestHelpTopics(t *testing.T) {
	for name, want := range map[string]string{
		"sql": "DESCRIBE ns.t", "CREATE TABLE": "PRIMARY KEY", "create user table": "PRIMARY KEY", "Create": "PRIMARY KEY", "drop table": "CASCADE",
		"create storage": "CREDENTIALS", "SUBSCRIBE TO": "old → new", `\copy`: "FORMAT csv", "alter": "RENAME",
	} {
		if got := helpTopic(name); !strings.Contains(got, want) {
			t.Errorf("help about %q is %q", name, got)
		}
	}
	if got := helpTopic("weather"); got != "" {
		t.Errorf("help about the weather: %q", got)
	}
	for _, topic := range topics {
		for _, line := range strings.Split(topic.text, "\n") {
			if n := len([]rune(line)); n > 80 {
				t.Errorf("%s: %d columns wide: %s", topic.name, n, line)
			}
		}
	}
}

func TestReadsOnly(t *testing.T) {
	for text, want := range map[string]bool{"SELECT 1": true, "/* x */ with a AS (SELECT 1) SELECT * FROM a": true, "SHOW TABLES": true, "FLUSH TABLE a.b": false, "INSERT INTO t VALUES (1) RETURNING id": false, "": false} {
		if readsOnly(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
