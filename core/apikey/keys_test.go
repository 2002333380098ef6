package apikey

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/faultkv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registry is who system.users has.
type registry map[ident.UserID]bool

func (r registry) has(_ context.Context, u ident.UserID) (bool, error) {
	if u == "broken" {
		return false, errors.New("disk on fire")
	}
	return r[u], nil
}

func open(t testing.TB, b kv.Backend, users registry) *Keys {
	t.Helper()
	k, err := Open(context.Background(), Options{Backend: b, Registered: users.has})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return k
}

func create(t testing.TB, k *Keys, user ident.UserID) (key string, info Key) {
	t.Helper()
	key, info, err := k.Create(context.Background(), user, "n")
	if err != nil {
		t.Fatal(err)
	}
	return key, info
}

func TestUseFindsNothingButTheKey(t *testing.T) {
	k := open(t, memkv.New(memkv.Options{}), nil)
	key, info := create(t, k, "ann")
	other, _ := create(t, k, "bob")
	if len(key) != keyLen {
		t.Fatal(len(key), keyLen)
	}
	if got, ok := k.Use(key); !ok || got.ID != info.ID || got.User != "ann" {
		t.Fatal(got, ok)
	}
	flip := func(i int) string {
		b := []byte(key)
		if b[i]++; b[i] > 'y' {
			b[i] = 'b'
		}
		return string(b)
	}
	for name, bad := range map[string]string{
		"empty": "", "prefix": Prefix, "id": Prefix + string(info.ID), "cut off": key[:len(key)-1], "longer": key + "A",
		"last byte": flip(len(key) - 1), "first byte of the secret": flip(len(Prefix) + 2*idBytes + 1), "id changed": flip(len(Prefix)),
		"id of another": key[:len(Prefix)] + other[len(Prefix):len(Prefix)+2*idBytes] + key[len(Prefix)+2*idBytes:],
		"upper case":    strings.ToUpper(key), "spaces": " " + key[1:], "another separator": strings.Replace(key, string(info.ID)+"_", string(info.ID)+"-", 1),
	} {
		if got, ok := k.Use(bad); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestKeysAreNotOnTheMedium(t *testing.T) {
	b := memkv.New(memkv.Options{})
	k := open(t, b, nil)
	key, info := create(t, k, "ann")
	snap, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	data, found, err := snap.Get(Partition, []byte(info.ID))
	if err != nil || !found {
		t.Fatal(found, err)
	}
	secret := key[len(key)-43:]
	if bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte(secret[:10])) {
		t.Errorf("%s", data)
	}
}

func TestBounds(t *testing.T) {
	k := open(t, memkv.New(memkv.Options{}), nil)
	for range MaxPerUser {
		create(t, k, "ann")
	}
	if _, _, err := k.Create(context.Background(), "ann", ""); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Error(err)
	}
	create(t, k, "bob")
	if n, err := k.DropUser(context.Background(), "ann"); n != MaxPerUser || err != nil {
		t.Error(n, err)
	}
	create(t, k, "ann")
	if k.Len() != 2 || len(k.List()) != 2 {
		t.Error(k.Len())
	}
	if _, _, err := k.Create(context.Background(), "broken", ""); err == nil {
		t.Error("it is not known whether the user is registered")
	}
}

// TestOrphansAreDropped opens keys whose user was deleted by a server that did
// not come to drop them.
func TestOrphansAreDropped(t *testing.T) {
	b := memkv.New(memkv.Options{})
	users := registry{"ann": true}
	k := open(t, b, users)
	ann, _ := create(t, k, "ann")
	free, _ := create(t, k, "free")
	if err := k.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	k = open(t, b, users)
	if _, ok := k.Use(ann); !ok {
		t.Error("ann is there, but her key is not")
	}
	k.Close(context.Background())
	k = open(t, b, registry{"free": true})
	if _, ok := k.Use(ann); ok {
		t.Error("the key of a deleted user works")
	}
	if _, ok := k.Use(free); !ok {
		t.Error("the key of a user that never was registered is gone")
	}
}

func TestLastUseIsWrittenNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultkv.New(memkv.New(memkv.Options{}))
		k := open(t, b, nil)
		one, _ := create(t, k, "ann")
		time.Sleep(time.Second) // List gives the oldest key first
		two, _ := create(t, k, "bob")
		before := b.Count(faultkv.Write)
		writes := func() int { return b.Count(faultkv.Write) - before }
		for range 1000 {
			k.Use(one)
			k.Use(two)
		}
		if writes() != 0 {
			t.Fatal("requests write")
		}
		time.Sleep(SaveInterval)
		synctest.Wait()
		if writes() != 1 {
			t.Fatal("writes after an interval:", writes())
		}
		time.Sleep(10 * SaveInterval)
		synctest.Wait()
		if writes() != 1 {
			t.Fatal("writes without a use:", writes())
		}
		b.Set(faultkv.On(faultkv.Write).Fail(errors.New("disk on fire")))
		want, _ := k.Use(one)
		time.Sleep(SaveInterval)
		synctest.Wait()
		b.Set()
		if err := k.Close(context.Background()); err != nil || writes() != 3 {
			t.Fatal("what could not be written is written at the end:", err, writes())
		}
		again := open(t, b, nil)
		if got := again.List()[0]; !got.LastUsed.Equal(want.LastUsed) {
			t.Error(got, want)
		}
		again.Close(context.Background())
	})
}

func TestFailedWritesChangeNothing(t *testing.T) {
	b := faultkv.New(memkv.New(memkv.Options{}))
	k := open(t, b, nil)
	key, info := create(t, k, "ann")
	b.Set(faultkv.On(faultkv.Write).Fail(errors.New("disk on fire")))
	if _, err := k.Drop(context.Background(), info.ID); err == nil {
		t.Error("a drop that was not written succeeded")
	}
	if _, _, err := k.Create(context.Background(), "bob", ""); err == nil || k.Len() != 1 {
		t.Error("a key that was not written exists")
	}
	b.Set()
	if _, ok := k.Use(key); !ok {
		t.Error("the key is gone although its drop failed")
	}
}

func TestBadRecords(t *testing.T) {
	id := "0123456789abcdef"
	for name, data := range map[string]string{
		"no JSON": "x", "no hash": `{"format":1,"user":"u"}`, "short hash": `{"format":1,"user":"u","sha256":"AAAA"}`,
		"newer": `{"format":2}`, "no user": `{"format":1,"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`,
	} {
		b := memkv.New(memkv.Options{})
		var batch kv.Batch
		batch.Put(Partition, []byte(id), []byte(data))
		if err := b.Write(context.Background(), &batch); err != nil {
			t.Fatal(err)
		}
		if k, err := Open(context.Background(), Options{Backend: b, Registered: registry{}.has}); err == nil {
			k.Close(context.Background())
			t.Errorf("%s was read", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("0123456789abcdef", []byte(`{"format":1,"user":"u","sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","last_used":7}`))
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		e, err := decode(ident.APIKeyID(id), data)
		if err != nil || len(id) > kv.MaxKeySize { // no such id can be stored
			return
		}
		var b kv.Batch
		if err := e.put(&b, e.saved); err != nil {
			t.Fatal(err)
		}
		again, err := decode(ident.APIKeyID(id), b.Op(0).Value)
		if err != nil || again.key() != e.key() || again.hash != e.hash {
			t.Fatalf("%+v %+v %v", e.key(), again.key(), err)
		}
	})
}

func BenchmarkUse(b *testing.B) {
	k := open(b, memkv.New(memkv.Options{}), nil)
	key, _ := create(b, k, "ann")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := k.Use(key); !ok {
			b.Fatal("not found")
		}
	}
}

// TestKeysOfADeletedUserStop has the backend fail when a user is gone: the keys
// stop working, at once and after the next start.
func TestKeysOfADeletedUserStop(t *testing.T) {
	b := faultkv.New(memkv.New(memkv.Options{}))
	users := registry{"ann": true}
	k := open(t, b, users)
	key, info := create(t, k, "ann")
	var heard []ident.APIKeyID
	k.OnDrop(func(id ident.APIKeyID) { heard = append(heard, id) })
	delete(users, "ann")
	b.Set(faultkv.On(faultkv.Write).Fail(errors.New("disk on fire")))
	if n, err := k.DropUser(t.Context(), "ann"); n != 1 || err == nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	if _, ok := k.Use(key); ok || len(heard) != 1 || heard[0] != info.ID {
		t.Errorf("the key works: %v, and %v was heard of", ok, heard)
	}
	b.Set()
	if _, ok := open(t, b, users).Use(key); ok {
		t.Error("after the next start the key works")
	}
}
