package tpch

import (
	"embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

//go:embed queries/*.sql
var files embed.FS

// Query is the text of query n, 1 to 22.
func Query(n int) (string, error) {
	b, err := files.ReadFile(fmt.Sprintf("queries/q%02d.sql", n))
	if err != nil {
		return "", fmt.Errorf("read query: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSpace(string(b)), ";"), nil
}

// Table is a table's name and its columns as CREATE TABLE spells them.
type Table struct {
	Name    string
	Columns string
}

// Tables are in the order in which they are filled.
var Tables = []Table{
	{"region", "r_regionkey integer PRIMARY KEY, r_name varchar(25) NOT NULL, r_comment varchar(152)"},
	{"nation", "n_nationkey integer PRIMARY KEY, n_name varchar(25) NOT NULL, n_regionkey integer NOT NULL, n_comment varchar(152)"},
	{"supplier", "s_suppkey integer PRIMARY KEY, s_name varchar(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey integer NOT NULL, s_phone varchar(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL"},
	{"customer", "c_custkey integer PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey integer NOT NULL, c_phone varchar(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, c_mktsegment varchar(10) NOT NULL, c_comment varchar(117) NOT NULL"},
	{"part", "p_partkey integer PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr varchar(25) NOT NULL, p_brand varchar(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL, p_container varchar(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL"},
	{"partsupp", "ps_partkey integer NOT NULL, ps_suppkey integer NOT NULL, ps_availqty integer NOT NULL, ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey)"},
	{"orders", "o_orderkey integer PRIMARY KEY, o_custkey integer NOT NULL, o_orderstatus varchar(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority varchar(15) NOT NULL, o_clerk varchar(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL"},
	{"lineitem", "l_orderkey integer NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL, l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, l_returnflag varchar(1) NOT NULL, l_linestatus varchar(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber)"},
}

var (
	regions = []string{"AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"}
	nations = []struct {
		name   string
		region int
	}{{"ALGERIA", 0}, {"ARGENTINA", 1}, {"BRAZIL", 1}, {"CANADA", 1}, {"EGYPT", 4}, {"ETHIOPIA", 0}, {"FRANCE", 3}, {"GERMANY", 3}, {"INDIA", 2}, {"INDONESIA", 2}, {"IRAN", 4}, {"IRAQ", 4}, {"JAPAN", 2}, {"JORDAN", 4}, {"KENYA", 0}, {"MOROCCO", 0}, {"MOZAMBIQUE", 0}, {"PERU", 1}, {"CHINA", 2}, {"ROMANIA", 3}, {"SAUDI ARABIA", 4}, {"VIETNAM", 2}, {"RUSSIA", 3}, {"UNITED KINGDOM", 3}, {"UNITED STATES", 1}}
	segments   = []string{"AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"}
	priorities = []string{"1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"}
	instructs  = []string{"DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"}
	modes      = []string{"REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"}
	colours    = []string{"almond", "antique", "aquamarine", "azure", "beige", "bisque", "black", "blue", "brown", "chocolate", "coral", "cream", "cyan", "firebrick", "forest", "frosted", "ghost", "green", "honeydew", "indian", "ivory", "khaki", "lace", "lemon", "lime", "linen", "magenta", "maroon"}
	types1     = []string{"STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"}
	types2     = []string{"ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"}
	types3     = []string{"TIN", "NICKEL", "BRASS", "STEEL", "COPPER"}
	boxes1     = []string{"SM", "LG", "MED", "JUMBO", "WRAP"}
	boxes2     = []string{"CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"}
	words      = []string{"furiously", "quickly", "special", "packages", "requests", "deposits", "pending", "accounts", "express", "Customer", "Complaints", "unusual", "ironic", "theodolites", "carefully", "final", "regular", "slyly", "bold", "even"}
)

// Generator makes the rows of a scale factor; one seed, the same rows.
type Generator struct {
	r     *rand.Rand
	scale float64
}

// NewGenerator makes a generator. Scale factor 1 has six million line items.
func NewGenerator(scale float64) *Generator {
	return &Generator{r: rand.New(rand.NewPCG(19920101, 19981231)), scale: scale}
}

func (g *Generator) count(base int) int { return max(1, int(float64(base)*g.scale)) }

func (g *Generator) pick(from []string) string { return from[g.r.IntN(len(from))] }

func (g *Generator) comment(n int) string {
	w := make([]string, n)
	for i := range w {
		w[i] = g.pick(words)
	}
	return strings.Join(w, " ")
}

func money(cents int) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

func phone(r *rand.Rand, nation int) string {
	return fmt.Sprintf("%d-%03d-%03d-%04d", nation+10, 100+r.IntN(900), 100+r.IntN(900), 1000+r.IntN(9000))
}

// Rows gives the rows of all tables in the order of Tables, each as the list
// of its values spelled for VALUES.
func (g *Generator) Rows(yield func(table, row string) error) error {
	out := &emitter{yield: yield}
	for i, n := range regions {
		out.row("region", fmt.Sprintf("%d, '%s', '%s'", i, n, g.comment(4)))
	}
	for i, n := range nations {
		out.row("nation", fmt.Sprintf("%d, '%s', %d, '%s'", i, n.name, n.region, g.comment(4)))
	}
	suppliers, customers, parts, orders := g.count(10_000), g.count(150_000), g.count(200_000), g.count(1_500_000)
	for i := 1; i <= suppliers; i++ {
		n := g.r.IntN(len(nations))
		out.row("supplier", fmt.Sprintf("%d, 'Supplier#%09d', '%s', %d, '%s', %s, '%s'", i, i, g.comment(2), n, phone(g.r, n), money(g.r.IntN(1_099_999)-99_999), g.comment(6)))
	}
	for i := 1; i <= customers; i++ {
		n := g.r.IntN(len(nations))
		out.row("customer", fmt.Sprintf("%d, 'Customer#%09d', '%s', %d, '%s', %s, '%s', '%s'", i, i, g.comment(2), n, phone(g.r, n), money(g.r.IntN(1_099_999)-99_999), g.pick(segments), g.comment(6)))
	}
	for i := 1; i <= parts; i++ {
		m := 1 + g.r.IntN(5)
		name := strings.Join([]string{g.pick(colours), g.pick(colours), g.pick(colours)}, " ")
		out.row("part", fmt.Sprintf("%d, '%s', 'Manufacturer#%d', 'Brand#%d%d', '%s %s %s', %d, '%s %s', %s, '%s'", i, name, m, m, 1+g.r.IntN(5),
			g.pick(types1), g.pick(types2), g.pick(types3), 1+g.r.IntN(50), g.pick(boxes1), g.pick(boxes2), money(retail(i)), g.comment(2)))
	}
	for i := 1; i <= parts; i++ {
		for j := range 4 {
			out.row("partsupp", fmt.Sprintf("%d, %d, %d, %s, '%s'", i, supplierOf(i, j, suppliers), 1+g.r.IntN(9999), money(100+g.r.IntN(99_901)), g.comment(8)))
		}
	}
	g.orders(out, orders, customers, parts, suppliers)
	return out.err
}

// retail is a part's price in cents, by the specification's formula.
func retail(part int) int { return 90_000 + (part/10)%20_001 + 100*(part%1000) }

// supplierOf is one of a part's four suppliers.
func supplierOf(part, j, suppliers int) int {
	return (part+j*(suppliers/4+(part-1)/suppliers))%suppliers + 1
}

// orders makes the orders, then their line items. Line items come from a
// second generator, so that each table's rows come in one run.
func (g *Generator) orders(out *emitter, orders, customers, parts, suppliers int) {
	var lines []string
	first := time.Date(1992, 1, 1, 0, 0, 0, 0, time.UTC)
	split := time.Date(1995, 6, 17, 0, 0, 0, 0, time.UTC)
	for i := 1; i <= orders; i++ {
		key := (i-1)/8*32 + (i-1)%8 + 1 // sparse, as the specification wants
		date := first.AddDate(0, 0, g.r.IntN(2406-151))
		total, open := 0, 0
		n := 1 + g.r.IntN(7)
		for l := 1; l <= n; l++ {
			part := 1 + g.r.IntN(parts)
			quantity := 1 + g.r.IntN(50)
			price := quantity * retail(part)
			discount, tax := g.r.IntN(11), g.r.IntN(9)
			ship := date.AddDate(0, 0, 1+g.r.IntN(121))
			commit := date.AddDate(0, 0, 30+g.r.IntN(61))
			receipt := ship.AddDate(0, 0, 1+g.r.IntN(30))
			flag, status := "N", "F"
			if !receipt.After(split) {
				flag = g.pick([]string{"R", "A"})
			}
			if ship.After(split) {
				status = "O"
				open++
			}
			total += price * (100 - discount) / 100 * (100 + tax) / 100
			lines = append(lines, fmt.Sprintf("%d, %d, %d, %d, %d, %s, %s, %s, '%s', '%s', '%s', '%s', '%s', '%s', '%s', '%s'", key, part, supplierOf(part, g.r.IntN(4), suppliers), l,
				quantity, money(price), money(discount), money(tax), flag, status, ship.Format(time.DateOnly), commit.Format(time.DateOnly), receipt.Format(time.DateOnly), g.pick(instructs), g.pick(modes), g.comment(3)))
		}
		status := "P"
		switch open {
		case 0:
			status = "F"
		case n:
			status = "O"
		}
		customer := 1 + g.r.IntN(customers)
		if customer%3 == 0 && customers > 3 { // a third of the customers order nothing
			customer = max(1, customer-1)
		}
		out.row("orders", fmt.Sprintf("%d, %d, '%s', %s, '%s', '%s', 'Clerk#%09d', 0, '%s'", key, customer, status, money(total), date.Format(time.DateOnly), g.pick(priorities), 1+g.r.IntN(1000), g.comment(5)))
	}
	for _, l := range lines {
		out.row("lineitem", l)
	}
}

// emitter stops at the first error.
type emitter struct {
	yield func(table, row string) error
	err   error
}

func (e *emitter) row(table, row string) {
	if e.err == nil {
		e.err = e.yield(table, row)
	}
}
