package object_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/object/objecttest"
)

func openLocal(t *testing.T, dir string) *object.Local {
	t.Helper()
	b, err := object.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestLocal(t *testing.T) {
	objecttest.Run(t, func(t *testing.T) object.Bucket { return openLocal(t, filepath.Join(t.TempDir(), "made", "here")) })
}

func TestMem(t *testing.T) {
	objecttest.Run(t, func(*testing.T) object.Bucket { return object.NewMem() })
}

func TestFaultyWithoutFaults(t *testing.T) {
	objecttest.Run(t, func(t *testing.T) object.Bucket {
		return object.Faulty(object.NewMem(), func(ctx context.Context, _ object.Call) error { return context.Cause(ctx) })
	})
}

func TestLocalDoesNotLeaveItsFolder(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "bucket")
	b := openLocal(t, in)
	if err := os.Symlink(dir, filepath.Join(in, "out")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := os.Symlink(secret, filepath.Join(in, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out/secret", "link"} {
		if data, err := object.ReadAll(t.Context(), b, name, 100); err == nil {
			t.Errorf("%s: read %q from outside", name, data)
		}
	}
	if err := object.Put(t.Context(), b, "out/new", nil, object.CreateOptions{}); err == nil {
		t.Error("wrote outside")
	}
	if err := object.Put(t.Context(), b, "link", []byte("new"), object.CreateOptions{}); err != nil {
		t.Errorf("a link in the way: %v", err)
	}
	if data, _ := os.ReadFile(secret); string(data) != "secret" {
		t.Errorf("the file outside became %q", data)
	}
	for i, err := range b.List(t.Context(), "out/") {
		if err == nil {
			t.Errorf("listed %v", i)
		}
	}
	if err := b.Delete(t.Context(), "out/secret"); err == nil {
		t.Error("deleted outside")
	}
}

func TestSweepRemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	b := openLocal(t, dir)
	if err := object.Put(t.Context(), b, "a/b/kept", nil, object.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/kept-too", "x/y/z/new"} {
		if _, err := b.Create(t.Context(), name, object.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	again := openLocal(t, dir)
	for i, err := range again.List(t.Context(), "") {
		if err != nil || i.Name != "a/b/kept" {
			t.Errorf("listed %v, %v", i, err)
		}
	}
	if n, err := again.Sweep(t.Context(), "a/"); n != 1 || err != nil {
		t.Errorf("swept %d below a: %v", n, err)
	}
	if n, err := again.Sweep(t.Context(), ""); n != 1 || err != nil {
		t.Errorf("swept %d: %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); !os.IsNotExist(err) {
		t.Errorf("an empty folder stayed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "b", "kept")); err != nil {
		t.Error(err)
	}
	// A writer that knew the folder makes it again.
	if err := object.Put(t.Context(), b, "x/y/z/new", nil, object.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

func TestTemporaryNamesAreNoObjects(t *testing.T) {
	b := openLocal(t, t.TempDir())
	if err := object.Put(t.Context(), b, "a/.tmp-1-1", nil, object.CreateOptions{}); err == nil {
		t.Error("an object got the name of a temporary file")
	}
}

func TestFullDiskIsSaidSo(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("this system has no /dev/full")
	}
	f, err := os.OpenFile(full, os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("%s: %v", full, err)
	}
	defer f.Close()
	_, err = f.Write(make([]byte, 1))
	b := object.Faulty(object.NewMem(), func(_ context.Context, c object.Call) error {
		if c.Op == object.OpWrite {
			return object.LocalError("write", c.Name, err)
		}
		return nil
	})
	err = object.Put(t.Context(), b, "x", []byte("x"), object.CreateOptions{})
	if dberr.CodeOf(err) != dberr.StorageUnavailable || !strings.Contains(err.Error(), "full") || strings.Contains(err.Error(), full) {
		t.Errorf("got %v", err)
	}
}

func TestErrorsHoldNoPath(t *testing.T) {
	dir := t.TempDir()
	b := openLocal(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := object.Put(t.Context(), b, "file/below", nil, object.CreateOptions{})
	if dberr.CodeOf(err) != dberr.StorageUnavailable || strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

func TestFaultsAtEveryStep(t *testing.T) {
	boom := dberr.New(dberr.StorageUnavailable, "boom")
	for op := object.OpCreate; op <= object.OpProbe; op++ {
		var seen []object.Op
		inner := object.NewMem()
		if err := object.Put(t.Context(), inner, "x", []byte("old"), object.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		b := object.Faulty(inner, func(_ context.Context, c object.Call) error {
			seen = append(seen, c.Op)
			if c.Op == op {
				return boom
			}
			return nil
		})
		err := object.Put(t.Context(), b, "x", []byte("new"), object.CreateOptions{})
		if err == nil {
			_, err = object.ReadAll(t.Context(), b, "x", 10)
		}
		if err == nil {
			_, err = b.Stat(t.Context(), "x")
		}
		if err == nil {
			for _, err = range b.List(t.Context(), "") {
			}
		}
		if err == nil {
			err = b.Delete(t.Context(), "x")
		}
		if err == nil {
			err = b.Probe(t.Context())
		}
		if !errors.Is(err, boom) || seen[len(seen)-1] != op {
			t.Errorf("step %d: %v after %v", op, err, seen)
		}
		data, _ := object.ReadAll(t.Context(), inner, "x", 10)
		switch want := map[bool]string{true: "old", false: "new"}[op < object.OpCommitted]; {
		case op == object.OpProbe:
		case string(data) != want:
			t.Errorf("step %d: the object is %q, want %q", op, data, want)
		}
	}
}

func TestFaultsMayChangeWhatIsRead(t *testing.T) {
	inner := object.NewMem()
	if err := object.Put(t.Context(), inner, "x", []byte("abc"), object.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b := object.Faulty(inner, func(_ context.Context, c object.Call) error {
		if c.Op == object.OpReadDone {
			c.Data[1] ^= 0xff
		}
		return nil
	})
	got, err := object.ReadAll(t.Context(), b, "x", 10)
	if err != nil || string(got) == "abc" {
		t.Errorf("got %q, %v", got, err)
	}
}

func BenchmarkLocalPut(b *testing.B) {
	l, err := object.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 20<<10)
	b.ReportAllocs()
	for b.Loop() {
		if err := object.Put(b.Context(), l, "user/table/x", data, object.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
