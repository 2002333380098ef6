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
	{"integration", []string{"commons", "link", "integration"}, "tests from outside, through the public interfaces"},
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
}

// engines is the table of third-party modules. A module that is not in it may
// not be imported; docs/build/dependencies.md gives the reasons.
var engines = []engineRule{
	{"github.com/dgraph-io/badger/v4", []string{"store/kv/badgerkv"}},
	{"github.com/tidwall/btree", []string{"store/kv/memkv"}},
	{"github.com/minio/minio-go/v7", []string{"store/object/s3"}},
	{"github.com/cespare/xxhash/v2", []string{"store/segment"}},
	{"github.com/parquet-go/parquet-go", []string{"store/segment"}},
	{"github.com/apache/arrow-go/v18", []string{"store/segment"}},
	{"github.com/hashicorp/golang-lru/v2", []string{"sql", "core", "live", "store/segment"}},
	{"github.com/gofrs/flock", []string{"core"}},
	{"github.com/coder/websocket", []string{"server/ws", "link"}},
	{"github.com/lestrrat-go/jwx/v2", []string{"server/auth"}},
	{"github.com/pelletier/go-toml/v2", []string{"server/config", "cli/config"}},
	{"github.com/prometheus/client_golang", []string{"server/debug"}},
	{"github.com/urfave/cli/v2", []string{"server", "cli"}},
	{"github.com/reeflective/readline", []string{"cli/repl"}},
	{"github.com/jedib0t/go-pretty/v6", []string{"cli/render", "cli/repl"}},
	{"github.com/mattn/go-runewidth", []string{"cli"}},
	{"golang.org/x/term", []string{"cli"}},
	{"golang.org/x/sys", []string{"store", "core", "cli/repl"}},
}

// testEngines are third-party modules for tests only: in test files, and in
// the packages of integration, which is nothing but tests.
var testEngines = []string{
	"go.uber.org/goleak",
	"github.com/creack/pty",
}
