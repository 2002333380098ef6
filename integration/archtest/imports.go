package archtest

// A rule says which of our own packages the packages under a path may import.
type rule struct {
	// Path is a package's path within the repository; the rule holds for the
	// packages below it too, unless they have a rule of their own.
	Path string
	// May lists paths within the repository; packages below them count.
	May []string
	Why string
}

// ours is the table of who may import whom. Tests may also import what
// testOnly adds. A package that no rule covers may import nothing of ours.
var ours = []rule{
	{"commons/decimal", nil, "numbers stand on their own"},
	{"commons/dberr", nil, "every package reports errors, so errors know nobody"},
	{"commons/wire", nil, "a client can be built from the messages alone, also for a browser"},
	{"commons/crew", nil, "goroutines that are waited for together"},
	{"commons/buildinfo", nil, "facts of the build"},
	{"commons/ident", []string{"commons/dberr"}, "names are checked with coded errors"},
	{"commons/sqltype", []string{"commons/dberr", "commons/decimal"}, "values are parsed with coded errors"},
	{"commons/sysname", []string{"commons/ident"}, "reserved names are typed names"},
	{"commons/change", []string{"commons/ident", "commons/sqltype"}, "an event names a table and carries rows"},
	{"commons/config", []string{"commons/ident", "commons/dberr"}, "sections hold typed names"},
	{"store", []string{"commons", "store"}, "bytes and files; knows nothing of SQL"},
	{"sql", []string{"commons", "store/vector", "store/keyenc", "sql"}, "stateless: reads through interfaces that it declares, so it sees no backend"},
	{"live", []string{"commons", "store/vector", "sql", "live"}, "hears committed changes, evaluates filters compiled by sql"},
	{"core", []string{"commons", "store", "sql", "live", "core"}, "the engine joins storage, SQL and live queries"},
	{"server", []string{"commons", "core", "live", "sql", "store/vector", "server"}, "speaks HTTP and WebSocket to the engine; never touches storage"},
	{"link", []string{"commons/wire", "link"}, "an SDK that knows the protocol only"},
	{"cli", []string{"commons/buildinfo", "link", "cli"}, "a user interface; everything else goes through link"},
	{"docs/quickstart/chat", []string{"link"}, "an example is an application as anybody could write it"},
	{"integration", []string{"commons", "link", "integration", "store/kv/rediskv/redistest"}, "tests from outside, through the public interfaces, and a Redis that a server under test keeps its data in"},
}

// testOnly is what the tests of a path may import beside what it may import
// itself.
var testOnly = []rule{
	{"sql", []string{"store"}, "tests run on real storage codecs"},
	{"server", []string{"link", "store"}, "tests talk to the server as a client does"},
	{"cli", []string{"commons"}, "tests speak the protocol to the command line"},
}

// An engineRule keeps a third-party module in the rooms that it was let into.
type engineRule struct {
	// Module is a prefix of import paths.
	Module string
	Rooms  []string
	// Tests lists where test files may import it, too.
	Tests []string
}

// engines is the table of third-party modules. A module that is not in it may
// not be imported; docs/build/dependencies.md gives the reasons.
var engines = []engineRule{
	{Module: "github.com/dgraph-io/badger/v4", Rooms: []string{"store/kv/badgerkv"}},
	{Module: "github.com/tidwall/btree", Rooms: []string{"store/kv/memkv", "core/table"}},
	{Module: "github.com/redis/go-redis/v9", Rooms: []string{"store/kv/rediskv"}},
	{Module: "github.com/minio/minio-go/v7", Rooms: []string{"store/object/s3"}},
	{Module: "github.com/cespare/xxhash/v2", Rooms: []string{"store/segment"}},
	{Module: "github.com/parquet-go/parquet-go", Rooms: []string{"store/segment"}},
	{Module: "github.com/apache/arrow-go/v18", Rooms: []string{"store/segment"}},
	{Module: "github.com/cockroachdb/apd/v3", Rooms: []string{"sql/builtin"}},
	{Module: "golang.org/x/text", Rooms: []string{"sql/builtin"}},
	{Module: "github.com/hashicorp/golang-lru/v2", Rooms: []string{"sql", "core", "live", "store/segment"}},
	{Module: "github.com/gofrs/flock", Rooms: []string{"core", "cli/history"}},
	{Module: "github.com/coder/websocket", Rooms: []string{"server/ws", "link"}},
	{Module: "github.com/lestrrat-go/jwx/v2", Rooms: []string{"server/auth"}, Tests: []string{"server/app"}},
	{Module: "github.com/pelletier/go-toml/v2", Rooms: []string{"server/config", "cli/config"}},
	{Module: "github.com/prometheus/client_golang", Rooms: []string{"server/debug"}},
	{Module: "github.com/urfave/cli/v2", Rooms: []string{"server", "cli"}},
	{Module: "github.com/reeflective/readline", Rooms: []string{"cli/repl"}},
	{Module: "github.com/jedib0t/go-pretty/v6", Rooms: []string{"cli/render"}},
	{Module: "github.com/mattn/go-runewidth", Rooms: []string{"cli"}},
	{Module: "golang.org/x/term", Rooms: []string{"cli"}},
	{Module: "golang.org/x/sys", Rooms: []string{"store", "core", "cli/repl"}},
}

// testEngines are third-party modules for tests only: in test files, and in
// the packages of integration, which is nothing but tests.
var testEngines = []string{
	"go.uber.org/goleak",
	"github.com/creack/pty",
	"github.com/hinshun/vt10x",
	"gonum.org/v1/plot",
}
