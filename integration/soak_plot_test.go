package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// plot is a table with the hands that work on it.
type plot struct {
	*world
	shared   bool
	random   []randomColumn
	hands    []*hand
	counters map[string]*additions // by user
	altering sync.RWMutex          // guards extras: who names them reads, who changes them writes
	extras   []extraColumn
}

// randomColumn is a column with the few values that it takes, in SQL, and the
// JSON that the server gives for them.
type randomColumn struct {
	column
	json map[string]string
	sql  map[string]string
}

// additions is what a row that many add to must be.
type additions struct{ sure, maybe atomic.Int64 }

// plant makes a table with its hands.
func (s *soak) plant(ns, kind string, keyed bool, clauses string) {
	s.t.Helper()
	p := &plot{shared: kind == "SHARED", counters: map[string]*additions{}, world: &world{
		t: s.t, rng: s.fork(), server: s.server, proxy: s.proxy, admin: s.admin, ns: ns, keyed: keyed, kills: true, purges: true, users: s.users,
		cols: []column{
			{name: "n", typ: "BIGINT", values: []string{"0", "1", "4", "7", "NULL"}},
			{name: "body", typ: "TEXT", values: []string{"'b'", "'series 1'", "'b5'", "NULL"}},
		},
	}}
	key := ""
	if keyed {
		key = " PRIMARY KEY"
	}
	def := fmt.Sprintf("CREATE NAMESPACE %s; CREATE %s TABLE %[1]s.t (k BIGINT NOT NULL%[3]s, mark BIGINT NOT NULL, tag TEXT, w INT NOT NULL DEFAULT -1, owner TEXT, n BIGINT, body TEXT", ns, kind, key)
	for i := range 1 + s.rng.IntN(3) {
		c := randomColumn{column: pick(s.rng, columnKinds), json: map[string]string{}, sql: map[string]string{}}
		c.name = fmt.Sprint("c", i)
		for _, v := range c.values {
			rows, err := s.admin.Batch(s.ctx, "SELECT CAST("+v+" AS "+c.typ+")")
			if err != nil {
				s.t.Fatal(err)
			}
			text := string(rows[0].Rows[0].Raw(0))
			c.json[v], c.sql[text] = text, v
		}
		p.random, p.cols = append(p.random, c), append(p.cols, c.column)
		def += ", " + c.name + " " + c.typ
	}
	access := ""
	if p.shared {
		access = " ACCESS open"
	}
	harness.Exec(s.t, s.admin, def+")"+clauses)
	harness.Exec(s.t, s.admin, fmt.Sprintf("CREATE %s TABLE %s.counters (id INT PRIMARY KEY, n BIGINT NOT NULL)%s", kind, ns, access))
	for i, u := range s.users {
		at := link.WithNamespace(ns)
		direct, cut := s.connect(u, false).With(at), s.connect(u, true).With(at)
		if p.shared && i > 0 {
			p.counters[u] = p.counters[s.users[0]]
		} else {
			p.counters[u] = &additions{}
			harness.Exec(s.t, direct, "INSERT INTO counters VALUES (1, 0)")
		}
		for n := range 3 {
			h := &hand{ledger: newLedger(), s: s, plot: p, user: u, no: int64(n + 1), rng: s.fork(), client: direct, direct: direct, limit: 150}
			if p.shared {
				h.no += int64(3 * i)
			}
			switch {
			case n == 0:
				h.limit = 1500
			case n == 2 && keyed:
				h.client, h.cut = cut, true
			}
			p.hands = append(p.hands, h)
		}
		s.askers = append(s.askers, &asker{s: s, plot: p, user: u, rng: s.fork(), client: direct})
	}
	s.plots = append(s.plots, p)
}

// columns are those of a record: the key and its text.
func (p *plot) columns() string {
	out := recordColumns
	for _, c := range p.random {
		out += ", " + c.name
	}
	return out
}

// partition are the hands whose rows a user sees.
func (p *plot) partition(user string) []*hand {
	if p.shared {
		return p.hands
	}
	return slices.DeleteFunc(slices.Clone(p.hands), func(h *hand) bool { return h.user != user })
}

func (p *plot) counter(user string) *additions { return p.counters[user] }

// insert is the statement that inserts a hand's rows.
func (p *plot) insert(h *hand, rows records) string {
	var b strings.Builder
	b.WriteString("INSERT INTO t (k, mark, tag, w, owner, n, body")
	for _, c := range p.random {
		b.WriteString(", " + c.name)
	}
	b.WriteString(") VALUES ")
	for i, k := range slices.Sorted(maps.Keys(rows)) {
		if i > 0 {
			b.WriteString(", ")
		}
		r := rows[k]
		n := fmt.Sprint(r.n)
		if r.null {
			n = "NULL"
		}
		fmt.Fprintf(&b, "(%d, %d, '%s', %d, '%s', %s, '%s'", k, r.mark, r.tag, h.no, h.user, n, r.body)
		for i, c := range p.random {
			b.WriteString(", " + c.sql[r.c[i]])
		}
		b.WriteByte(')')
	}
	return b.String()
}
