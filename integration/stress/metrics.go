package stress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// scrapeLimit bounds a look at a server that does not answer.
const scrapeLimit = 30 * time.Second

// Metrics are the figures of a server at one time, by name; the series of a
// metric with labels are added up.
type Metrics map[string]float64

// Scrape reads the metrics of the server at a URL.
func Scrape(ctx context.Context, url string) (Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	// A connection of its own: one that is kept would be counted.
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the metrics answer %s", res.Status)
	}
	return parse(res.Body)
}

// parse reads Prometheus' text format as far as the server writes it.
func parse(r io.Reader) (Metrics, error) {
	m := Metrics{}
	in := bufio.NewScanner(r)
	for in.Scan() {
		line := in.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("%q is no metric", line)
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no metric: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:at], "{")
		m[name] += v
	}
	return m, in.Err()
}

// Memory is what a process holds, in bytes.
type Memory struct {
	// Resident is everything that is in memory, the pages of mapped files
	// included, which the system takes back when it needs them.
	Resident float64
	// Own is what only the end of the process or the process itself can give
	// back. It is Resident where the system does not tell them apart.
	Own float64
}

// ProcessMemory asks the system; ok is false where it does not tell.
func ProcessMemory(pid int) (m Memory, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, false
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		kib, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			return m, false
		}
		switch f[0] {
		case "VmRSS:":
			m.Resident = kib * 1024
		case "RssAnon:":
			m.Own = kib * 1024
		}
	}
	if m.Own == 0 {
		m.Own = m.Resident
	}
	return m, m.Resident > 0
}
