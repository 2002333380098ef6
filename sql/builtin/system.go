package builtin

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	s := section{"identifiers", Scalar}
	s.def("snowflake_id() bigint", "Makes an id that grows with time: 41 bits of milliseconds, 10 of the node, 12 of a sequence.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBigInt(ids(ctx).SnowflakeID()), nil
	}, volatile)
	s.def("uuid_v7() uuid; uuidv7() uuid", "Makes a UUID that grows with time (version 7).", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewUUID(ids(ctx).UUIDv7()), nil
	}, volatile)
	s.def("ulid() text", "Makes a ULID: 26 letters and digits that grow with time.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText(ids(ctx).ULID()), nil
	}, volatile)
	s.def("gen_random_uuid() uuid; uuid() uuid; uuidv4() uuid", "Makes a random UUID (version 4).", func(*Context, []sqltype.Value) (sqltype.Value, error) {
		var u [16]byte
		_, _ = rand.Read(u[:]) // crypto/rand never fails
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		return sqltype.NewUUID(u), nil
	}, volatile)
	s.def("uuid_extract_version(uuid) smallint", "Gives the version of a UUID.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		u := a[0].Str()
		if u[8]&0xc0 != 0x80 {
			return sqltype.NullOf(sqltype.SmallInt), nil
		}
		return sqltype.NewInt(sqltype.SmallInt, int64(u[6]>>4)), nil
	})
	s.def("uuid_extract_timestamp(uuid) timestamp", "Gives the time inside a UUID of version 7.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		u := a[0].Str()
		if u[6]>>4 != 7 || u[8]&0xc0 != 0x80 {
			return sqltype.NullOf(sqltype.Timestamp), nil
		}
		ms := int64(binary.BigEndian.Uint64([]byte(u[:8])) >> 16)
		return sqltype.NewInt(sqltype.Timestamp, ms*1000), nil
	})

	c := section{"session", Scalar}
	user := func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		if ctx == nil {
			return sqltype.NullOf(sqltype.Text), nil
		}
		return sqltype.NewText(string(ctx.User)), nil
	}
	c.def("current_user() text; session_user() text; user() text; current_role() text", "Gives the id of the user who runs the statement.", user, stable)
	c.def("current_schema() text; current_namespace() text", "Gives the current namespace, or NULL.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		if ctx == nil || ctx.Namespace == "" {
			return sqltype.NullOf(sqltype.Text), nil
		}
		return sqltype.NewText(string(ctx.Namespace)), nil
	}, stable)
	c.def("current_database() text; current_catalog() text", "Gives the name of the database.", func(*Context, []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText("kalamdb"), nil
	}, stable)
	c.def("version() text", "Gives the server's name and version.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		if ctx == nil || ctx.Version == "" {
			return sqltype.NewText("KalamDB"), nil
		}
		return sqltype.NewText("KalamDB " + ctx.Version), nil
	}, stable)
	c.def("pg_typeof(any) text; typeof(any) text; arrow_typeof(any) text", "Gives the name of a value's type.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText(typeOf(a[0])), nil
	}, lenient)

	b := section{"binary", Scalar}
	b.def("md5(text) text; md5(bytes) text", "Gives the MD5 hash in hexadecimal.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		h := md5.Sum([]byte(a[0].Str()))
		return sqltype.NewText(hex.EncodeToString(h[:])), nil
	})
	hash := func(name string, sum func([]byte) []byte) {
		b.def(name+"(bytes) bytes; "+name+"(text) bytes", "Gives the "+strings.ToUpper(name)+" hash.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			return sqltype.NewBytes(sum([]byte(a[0].Str()))), nil
		})
	}
	hash("sha224", func(b []byte) []byte { h := sha256.Sum224(b); return h[:] })
	hash("sha256", func(b []byte) []byte { h := sha256.Sum256(b); return h[:] })
	hash("sha384", func(b []byte) []byte { h := sha512.Sum384(b); return h[:] })
	hash("sha512", func(b []byte) []byte { h := sha512.Sum512(b); return h[:] })
	b.def("crc32(bytes) bigint; crc32(text) bigint", "Gives the CRC-32 checksum.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBigInt(int64(crc32.ChecksumIEEE([]byte(a[0].Str())))), nil
	})
	b.def("encode(bytes, text) text", "Writes bytes as text in base64, hex or escape form.", encode)
	b.def("decode(text, text) bytes", "Reads bytes from text in base64, hex or escape form.", decode)
	b.def("convert_from(bytes, text) text", "Reads bytes as text in an encoding, which must be UTF8.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if err := checkEncoding(a[1].Str()); err != nil {
			return sqltype.Value{}, err
		}
		if !utf8.ValidString(a[0].Str()) {
			return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, `invalid byte sequence for encoding "UTF8"`).WithState("22021")
		}
		return sqltype.NewText(a[0].Str()), nil
	})
	b.def("convert_to(text, text) bytes", "Gives the bytes of a text in an encoding, which must be UTF8.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if err := checkEncoding(a[1].Str()); err != nil {
			return sqltype.Value{}, err
		}
		return a[0].As(sqltype.Bytes), nil
	})
	b.def("get_byte(bytes, int) int", "Gives one byte, counted from 0.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		s, i := a[0].Str(), a[1].Int()
		if i < 0 || i >= int64(len(s)) {
			return sqltype.Value{}, dberr.Newf(dberr.ValueOutOfRange, "index %d out of valid range, 0..%d", i, len(s)-1).WithState("2202E")
		}
		return integer(int(s[i])), nil
	})
	b.def("set_byte(bytes, int, int) bytes", "Replaces one byte, counted from 0.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		s, i := []byte(a[0].Str()), a[1].Int()
		if i < 0 || i >= int64(len(s)) {
			return sqltype.Value{}, dberr.Newf(dberr.ValueOutOfRange, "index %d out of valid range, 0..%d", i, len(s)-1).WithState("2202E")
		}
		s[i] = byte(a[2].Int())
		return sqltype.NewBytes(s), nil
	})
}

// typeOf is the name of a value's kind, of an array with its element's.
func typeOf(v sqltype.Value) string {
	if v.Kind() == sqltype.Array && len(v.List()) > 0 {
		return v.List()[0].Kind().PostgresName() + "[]"
	}
	return v.Kind().PostgresName()
}

func checkEncoding(name string) error {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "utf8", "unicode":
		return nil
	}
	return dberr.Newf(dberr.Unsupported, "encoding %q is not supported", name).WithHint("Texts are UTF8.")
}

func encode(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	src := []byte(a[0].Str())
	if len(src) > MaxText/4 {
		return sqltype.Value{}, tooLarge()
	}
	switch strings.ToLower(a[1].Str()) {
	case "hex":
		return sqltype.NewText(hex.EncodeToString(src)), nil
	case "base64":
		// Lines of 76 characters, as in RFC 2045; 57 bytes make one, and its end.
		const line = 57
		var b strings.Builder
		for ; len(src) >= line; src = src[line:] {
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(src[:line])))
			b.WriteByte('\n')
		}
		b.WriteString(base64.StdEncoding.EncodeToString([]byte(src)))
		return sqltype.NewText(b.String()), nil
	case "escape":
		var b strings.Builder
		for _, c := range src {
			switch {
			case c == '\\':
				b.WriteString(`\\`)
			case c == 0 || c >= 0x80:
				b.Write([]byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7})
			default:
				b.WriteByte(c)
			}
		}
		return sqltype.NewText(b.String()), nil
	}
	return sqltype.Value{}, invalidArg("unrecognized encoding: %q", a[1].Str())
}

func decode(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	switch strings.ToLower(a[1].Str()) {
	case "hex":
		return sqltype.Parse(`\x`+a[0].Str(), sqltype.TBytes)
	case "base64":
		clean := strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\n\r", r) {
				return -1
			}
			return r
		}, a[0].Str())
		b, err := base64.StdEncoding.DecodeString(clean)
		if err != nil {
			return sqltype.Value{}, invalidArg("invalid base64 end sequence or symbol")
		}
		return sqltype.NewBytes(b), nil
	case "escape":
		// A text of hexadecimal form would be read as that.
		s := a[0].Str()
		if strings.HasPrefix(s, `\x`) {
			return sqltype.Value{}, dberr.New(dberr.TypeMismatch, "invalid input syntax for type bytea").WithState("22P02")
		}
		return sqltype.Parse(s, sqltype.TBytes)
	}
	return sqltype.Value{}, invalidArg("unrecognized encoding: %q", a[1].Str())
}

func ids(ctx *Context) IDSource {
	if ctx != nil && ctx.IDs != nil {
		return ctx.IDs
	}
	return processIDs
}

var processIDs = NewIDGenerator(0, nil)

// IDGenerator makes SNOWFLAKE_ID(), UUID_V7() and ULID() values that grow
// strictly within the process, also when the clock steps back: it then goes on
// from the last time it gave. It may be used from several goroutines.
type IDGenerator struct {
	node int64
	now  func() time.Time

	mu sync.Mutex // guards the rest
	// ms and seq make the last snowflake id.
	ms, seq int64
	// uuid and ulid are the last ones.
	uuid, ulid [16]byte
}

// SnowflakeEpoch is where a snowflake id's milliseconds begin: 2024-01-01.
const SnowflakeEpoch = 1_704_067_200_000

// NewIDGenerator makes a generator for a node (0 to 1023) with a clock (nil:
// time.Now).
func NewIDGenerator(node int, now func() time.Time) *IDGenerator {
	if now == nil {
		now = time.Now
	}
	return &IDGenerator{node: int64(node) & 1023, now: now}
}

// SnowflakeID is 41 bits of milliseconds since SnowflakeEpoch, 10 bits of the
// node and 12 bits of a sequence. More than 4096 in a millisecond borrow from
// the next one.
func (g *IDGenerator) SnowflakeID() int64 {
	ms := g.now().UnixMilli() - SnowflakeEpoch
	g.mu.Lock()
	defer g.mu.Unlock()
	if ms > g.ms {
		g.ms, g.seq = ms, 0
	} else if g.seq++; g.seq == 1<<12 {
		g.ms, g.seq = g.ms+1, 0
	}
	return g.ms<<22 | g.node<<12 | g.seq
}

// UUIDv7 is a UUID of RFC 9562, version 7: 48 bits of milliseconds, then
// random bits that are counted up within a millisecond.
func (g *IDGenerator) UUIDv7() [16]byte {
	u := timed(g.now())
	u[6], u[8] = u[6]&0x0f|0x70, u[8]&0x3f|0x80
	g.mu.Lock()
	defer g.mu.Unlock()
	if string(u[:6]) <= string(g.uuid[:6]) {
		u = g.uuid
		// Count up in the random bits, leaving version and variant alone.
		for i := 15; i >= 6; i-- {
			mask := byte(0xff)
			switch i {
			case 8:
				mask = 0x3f
			case 6:
				mask = 0x0f
			}
			if low := (u[i] + 1) & mask; low != 0 {
				u[i] = u[i]&^mask | low
				break
			}
			u[i] &^= mask
			if i == 6 {
				next(u[:6])
			}
		}
	}
	g.uuid = u
	return u
}

// ULID is 48 bits of milliseconds and 80 random ones, counted up within a
// millisecond, in Crockford's base 32.
func (g *IDGenerator) ULID() string {
	u := timed(g.now())
	g.mu.Lock()
	if string(u[:6]) <= string(g.ulid[:6]) {
		u = g.ulid
		next(u[:])
	}
	g.ulid = u
	g.mu.Unlock()
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var out [26]byte
	hi, lo := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	for i := 25; i >= 0; i-- {
		out[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// timed is 48 bits of milliseconds, then random bits.
func timed(now time.Time) (u [16]byte) {
	binary.BigEndian.PutUint64(u[:8], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(u[6:]) // crypto/rand never fails
	return u
}

// next counts a big-endian number up.
func next(b []byte) {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return
		}
	}
}
