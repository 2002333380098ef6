package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
)

// Prefix begins every key, so that people and scanners of leaked secrets
// recognise one: kalam_<id>_<secret>.
const Prefix = "kalam_"

const (
	idBytes     = 8
	secretBytes = 32
	// keyLen is the length of every key.
	keyLen = len(Prefix) + 2*idBytes + 1 + (secretBytes*8+5)/6
)

// Key is what is known of one key. It never holds the key itself.
type Key struct {
	ID        ident.APIKeyID
	User      ident.UserID
	Name      string
	CreatedAt time.Time
	// LastUsed is zero when the key was never used.
	LastUsed time.Time
}

// entry is a key in memory. Everything but used and saved is fixed.
type entry struct {
	id      ident.APIKeyID
	user    ident.UserID
	name    string
	created time.Time
	hash    [sha256.Size]byte
	// registered says that system.users had the user when the key was made.
	registered bool

	used  atomic.Int64 // Unix microseconds; 0: never
	saved int64        // what of it is written; guarded by Keys.changing
}

func (e *entry) key() Key {
	k := Key{ID: e.id, User: e.user, Name: e.name, CreatedAt: e.created}
	if used := e.used.Load(); used > 0 {
		k.LastUsed = time.UnixMicro(used).UTC()
	}
	return k
}

// generate makes a new key and its id.
func generate() (id ident.APIKeyID, key string) {
	var raw [idBytes + secretBytes]byte
	rand.Read(raw[:]) // crypto/rand.Read never fails
	public := hex.EncodeToString(raw[:idBytes])
	return ident.APIKeyID(public), Prefix + public + "_" + base64.RawURLEncoding.EncodeToString(raw[idBytes:])
}

// idOf is the id within a key; ok is false for a text that cannot be one.
func idOf(key string) (id ident.APIKeyID, ok bool) {
	if len(key) != keyLen || !strings.HasPrefix(key, Prefix) {
		return "", false
	}
	public, rest := key[len(Prefix):len(Prefix)+2*idBytes], key[len(Prefix)+2*idBytes:]
	return ident.APIKeyID(public), rest[0] == '_'
}
