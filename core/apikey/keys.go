package apikey

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/kv"
)

const (
	// SaveInterval is how often times of last use are written.
	SaveInterval = time.Minute
	// MaxPerUser bounds how many keys a user has.
	MaxPerUser = 100
	// MaxTotal bounds how many keys there are.
	MaxTotal = 100_000
	// MaxName is how many bytes a key's name may have.
	MaxName = 256
	// saveBatch is how many records are written at once.
	saveBatch = 500
)

// Options configure Keys.
type Options struct {
	Backend kv.Backend
	// Registered tells whether system.users has a user.
	Registered func(context.Context, ident.UserID) (bool, error)
	Logger     *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// SaveInterval overrides the constant; 0 does not.
	SaveInterval time.Duration
}

// Keys are all API keys. They may be used from several goroutines.
type Keys struct {
	o Options

	// changing is the turn of whoever writes records, and is held over the
	// write, so that what was checked before still holds after it. Requests do
	// not wait for it. It guards dropped, and saved of every entry.
	changing sync.Mutex
	dropped  func(id ident.APIKeyID)

	mu     sync.RWMutex // guards byID
	byID   map[ident.APIKeyID]*entry
	stop   chan struct{}
	done   chan struct{}
	closed sync.Once
}

// Open reads the keys and starts to save their times of use. Keys whose user
// was registered when they were made and is not any more are dropped: a crash
// may have come between the end of the user and that of its keys. The Keys
// must be closed before the backend.
func Open(ctx context.Context, o Options) (*Keys, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SaveInterval <= 0 {
		o.SaveInterval = SaveInterval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keys{o: o, byID: map[ident.APIKeyID]*entry{}, stop: make(chan struct{}), done: make(chan struct{})}
	if err := k.load(); err != nil {
		return nil, err
	}
	if err := k.dropOrphans(ctx); err != nil {
		return nil, err
	}
	go k.saveNowAndThen()
	return k, nil
}

func (k *Keys) load() error {
	snap, err := k.o.Backend.Snapshot()
	if err != nil {
		return fmt.Errorf("open API keys: %w", err)
	}
	defer snap.Release()
	it := snap.Scan(Partition, kv.Range{})
	defer it.Close()
	for it.Next() {
		data, err := it.Value()
		if err != nil {
			return fmt.Errorf("read API keys: %w", err)
		}
		e, err := decode(ident.APIKeyID(it.Key()), data)
		if err != nil {
			return err
		}
		k.byID[e.id] = e
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read API keys: %w", err)
	}
	return nil
}

func (k *Keys) dropOrphans(ctx context.Context) error {
	registered := map[ident.UserID]bool{}
	for _, e := range k.byID {
		if !e.registered {
			continue
		}
		is, known := registered[e.user]
		if !known {
			var err error
			if is, err = k.o.Registered(ctx, e.user); err != nil {
				return fmt.Errorf("open API keys: %w", err)
			}
			registered[e.user] = is
		}
		if !is {
			if _, err := k.DropUser(ctx, e.user); err != nil {
				return err
			}
		}
	}
	return nil
}

// OnDrop names a function that hears of every key that is dropped, by its id,
// after the key has stopped working and before the drop is acknowledged. It
// must not change keys.
func (k *Keys) OnDrop(f func(id ident.APIKeyID)) {
	k.changing.Lock()
	defer k.changing.Unlock()
	k.dropped = f
}

// Create makes a key for a user and gives it; nobody can give it again.
//
// Errors: RESOURCE_EXHAUSTED when the user or the server has too many,
// INVALID_SQL for a name that is too long.
func (k *Keys) Create(ctx context.Context, user ident.UserID, name string) (key string, info Key, err error) {
	if len(name) > MaxName {
		return "", Key{}, dberr.Newf(dberr.InvalidSQL, "The name of an API key has at most %d bytes.", MaxName).WithState("22001")
	}
	registered, err := k.o.Registered(ctx, user)
	if err != nil {
		return "", Key{}, err
	}
	k.changing.Lock()
	defer k.changing.Unlock()
	if err := k.room(user); err != nil {
		return "", Key{}, err
	}
	id, key := generate()
	e := &entry{
		id: id, user: user, name: name, registered: registered,
		created: k.o.Now().UTC().Truncate(time.Microsecond), hash: sha256.Sum256([]byte(key)),
	}
	var b kv.Batch
	if err := e.put(&b, 0); err != nil {
		return "", Key{}, err
	}
	if err := k.o.Backend.Write(ctx, &b); err != nil {
		return "", Key{}, fmt.Errorf("write API key: %w", err)
	}
	k.mu.Lock()
	k.byID[id] = e
	k.mu.Unlock()
	return key, e.key(), nil
}

func (k *Keys) room(user ident.UserID) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.byID) >= MaxTotal {
		return dberr.Newf(dberr.ResourceExhausted, "The server has %d API keys, which is the most.", MaxTotal).WithHint("Drop some that are not used: system.api_keys has when each was used last.")
	}
	n := 0
	for _, e := range k.byID {
		if e.user == user {
			n++
		}
	}
	if n >= MaxPerUser {
		return dberr.Newf(dberr.ResourceExhausted, "The user has %d API keys, which is the most.", MaxPerUser).WithHint("Drop one of them first.")
	}
	return nil
}

// Drop ends a key; found is false when there is none of that id.
func (k *Keys) Drop(ctx context.Context, id ident.APIKeyID) (found bool, err error) {
	n, err := k.drop(ctx, false, func(e *entry) bool { return e.id == id })
	return n > 0, err
}

// DropUser ends all keys of a user, who is gone, and tells how many there were.
// They stop working also when the backend fails, which then keeps their records
// until the next Open.
func (k *Keys) DropUser(ctx context.Context, user ident.UserID) (n int, err error) {
	return k.drop(ctx, true, func(e *entry) bool { return e.user == user })
}

func (k *Keys) drop(ctx context.Context, anyway bool, which func(*entry) bool) (int, error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	var ids []ident.APIKeyID
	var b kv.Batch
	k.mu.RLock()
	for id, e := range k.byID {
		if which(e) {
			ids = append(ids, id)
			b.Delete(Partition, []byte(id))
		}
	}
	k.mu.RUnlock()
	if len(ids) == 0 {
		return 0, nil
	}
	err := k.o.Backend.Write(ctx, &b)
	if err != nil {
		if err = fmt.Errorf("drop API key: %w", err); !anyway {
			return 0, err
		}
	}
	k.mu.Lock()
	for _, id := range ids {
		delete(k.byID, id)
	}
	k.mu.Unlock()
	if k.dropped != nil {
		for _, id := range ids {
			k.dropped(id)
		}
	}
	return len(ids), err
}

// Use finds the key that a request presents and notes that it was used. What
// is wrong with a key that is not found is nobody's business.
//
// Benchmark: BenchmarkUse.
func (k *Keys) Use(key string) (Key, bool) {
	id, ok := idOf(key)
	if !ok {
		return Key{}, false
	}
	hash := sha256.Sum256([]byte(key))
	k.mu.RLock()
	e := k.byID[id]
	k.mu.RUnlock()
	if e == nil || subtle.ConstantTimeCompare(hash[:], e.hash[:]) != 1 {
		return Key{}, false
	}
	e.used.Store(k.o.Now().UnixMicro())
	return e.key(), true
}

// Exists tells whether there still is a key of that id.
func (k *Keys) Exists(id ident.APIKeyID) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byID[id] != nil
}

// Len is how many keys there are.
func (k *Keys) Len() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.byID)
}

// List describes all keys, ordered by their time of creation.
func (k *Keys) List() []Key {
	k.mu.RLock()
	out := make([]Key, 0, len(k.byID))
	for _, e := range k.byID {
		out = append(out, e.key())
	}
	k.mu.RUnlock()
	slices.SortFunc(out, func(a, b Key) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return out
}

// saveNowAndThen writes times of use until Close.
func (k *Keys) saveNowAndThen() {
	defer close(k.done)
	tick := time.NewTicker(k.o.SaveInterval)
	defer tick.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-tick.C:
			if err := k.save(context.Background()); err != nil {
				k.o.Logger.Warn("times of last use of API keys are not saved; it is tried again", "error", err)
			}
		}
	}
}

// save writes the times of use that are not written yet. A key that is dropped
// meanwhile must not come back, so changes wait.
func (k *Keys) save(ctx context.Context) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	var dirty []*entry
	k.mu.RLock()
	for _, e := range k.byID {
		if e.used.Load() != e.saved {
			dirty = append(dirty, e)
		}
	}
	k.mu.RUnlock()
	for part := range slices.Chunk(dirty, saveBatch) {
		var b kv.Batch
		times := make([]int64, len(part))
		for i, e := range part {
			times[i] = e.used.Load()
			if err := e.put(&b, times[i]); err != nil {
				return err
			}
		}
		if err := k.o.Backend.Write(ctx, &b); err != nil {
			return fmt.Errorf("save use of API keys: %w", err)
		}
		for i, e := range part {
			e.saved = times[i]
		}
	}
	return nil
}

// Close saves the times of use and stops. A second call does nothing.
func (k *Keys) Close(ctx context.Context) (err error) {
	k.closed.Do(func() {
		close(k.stop)
		<-k.done
		err = k.save(ctx)
		if errors.Is(err, kv.ErrClosed) {
			err = nil
		}
	})
	return err
}
