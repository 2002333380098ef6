package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, b kv.Backend, opts Options) (*Manager, []Job) {
	t.Helper()
	opts.Node = "test"
	m, interrupted, err := Open(context.Background(), b, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	return m, interrupted
}

func start(t *testing.T, m *Manager, spec Spec, fn Func) *Task {
	t.Helper()
	task, err := m.Start(context.Background(), spec, fn)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func TestJobIsRecorded(t *testing.T) {
	b := memkv.New(memkv.Options{})
	m, _ := open(t, b, Options{})
	spec := Spec{Type: "flush", Namespace: "app", Table: "t", Parameters: []string{"app.t"}, User: "root", Origin: "FLUSH TABLE"}
	var sum atomic.Int64
	good := start(t, m, spec, func(_ context.Context, task *Task) (string, error) {
		task.Hold(1000)
		task.Hold(-400)
		task.Hold(300)
		task.Step("adding")
		for end := time.Now().Add(10 * time.Millisecond); time.Now().Before(end); {
			sum.Add(1)
		}
		return "3 rows", nil
	})
	if got, err := good.Wait(context.Background()); got != "3 rows" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	bad := start(t, m, Spec{Type: "flush"}, func(context.Context, *Task) (string, error) {
		return "", dberr.New(dberr.StorageUnavailable, "The disk is full.").Wrap(errors.New("/secret/path"))
	})
	if _, err := bad.Wait(context.Background()); dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Errorf("failed with %v", err)
	}
	broken := start(t, m, Spec{Type: "flush"}, func(context.Context, *Task) (string, error) { panic("oops") })
	if _, err := broken.Wait(context.Background()); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("a panic gives %v", err)
	}
	m.Close(context.Background())
	again, interrupted := open(t, b, Options{})
	jobs := again.List("")
	if len(jobs) != 3 || len(interrupted) != 0 {
		t.Fatalf("%d jobs, %d interrupted", len(jobs), len(interrupted))
	}
	j := jobs[0]
	if j.ID != good.ID() || j.Status != Completed || j.Result != "3 rows" || j.Memory != 1000 || j.CPU <= 0 || j.Error != "" ||
		j.StartedAt.IsZero() || j.CompletedAt.Before(j.StartedAt) || j.Trace() != `node=test origin="FLUSH TABLE" user="root" step="adding"` {
		t.Errorf("the job is %+v, trace %s", j, j.Trace())
	}
	if j := jobs[1]; j.Status != Failed || j.Error != "The disk is full." {
		t.Errorf("the failed job is %+v", j)
	}
	if got := again.List("root"); len(got) != 1 || len(again.List("ann")) != 0 {
		t.Errorf("root sees %d jobs", len(got))
	}
}

func TestJobsOfOneKeyTakeTurns(t *testing.T) {
	m, _ := open(t, memkv.New(memkv.Options{}), Options{Workers: 4})
	var mu sync.Mutex
	var order []int
	var running, most atomic.Int32
	gate := make(chan struct{})
	var tasks []*Task
	for i := range 5 {
		tasks = append(tasks, start(t, m, Spec{Type: "x", Key: "t"}, func(context.Context, *Task) (string, error) {
			most.Store(max(most.Load(), running.Add(1)))
			<-gate
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			running.Add(-1)
			return "", nil
		}))
	}
	if tasks[0].Waits() || !tasks[1].Waits() || !m.Busy("t") || m.Busy("u") {
		t.Error("who waits is not told right")
	}
	// Another key does not wait.
	other := start(t, m, Spec{Type: "x", Key: "u"}, func(context.Context, *Task) (string, error) { return "", nil })
	if _, err := other.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(gate)
	for _, task := range tasks {
		if _, err := task.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(order) != "[0 1 2 3 4]" || most.Load() != 1 || m.Busy("t") {
		t.Errorf("order %v, %d at once", order, most.Load())
	}
}

func TestKill(t *testing.T) {
	m, _ := open(t, memkv.New(memkv.Options{}), Options{})
	wait := func(ctx context.Context, _ *Task) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	running := start(t, m, Spec{Type: "x", Key: "t", User: "ann"}, wait)
	waiting := start(t, m, Spec{Type: "x", Key: "t", User: "ann"}, wait)
	ctx := context.Background()
	if err := m.Kill(ctx, running.ID(), "bob", false); dberr.CodeOf(err) != dberr.NotFound {
		t.Errorf("somebody else's: %v", err)
	}
	if err := m.Kill(ctx, "job_nope", "root", true); dberr.CodeOf(err) != dberr.NotFound {
		t.Errorf("none: %v", err)
	}
	if err := m.Kill(ctx, waiting.ID(), "root", true); err != nil {
		t.Error(err)
	}
	if err := m.Kill(ctx, running.ID(), "ann", false); err != nil {
		t.Error(err)
	}
	if err := m.Kill(ctx, running.ID(), "ann", false); dberr.CodeOf(err) != dberr.Conflict {
		t.Errorf("again: %v", err)
	}
	for _, j := range m.List("") {
		if j.Status != Cancelled || !strings.HasPrefix(j.Error, "killed by ") {
			t.Errorf("%+v", j)
		}
	}
	if _, err := running.Wait(ctx); dberr.CodeOf(err) != dberr.Cancelled {
		t.Errorf("who waited got %v", err)
	}
}

// TestKilledWhileItWaits shows that the job behind one that was killed still
// waits for the one in front.
func TestKilledWhileItWaits(t *testing.T) {
	m, _ := open(t, memkv.New(memkv.Options{}), Options{})
	ctx := context.Background()
	goOn, began := make(chan struct{}), make(chan struct{})
	var running atomic.Int64
	first := start(t, m, Spec{Type: "x", Key: "t"}, func(context.Context, *Task) (string, error) {
		running.Add(1)
		defer running.Add(-1)
		close(began)
		<-goOn
		return "", nil
	})
	<-began
	second := start(t, m, Spec{Type: "x", Key: "t"}, func(context.Context, *Task) (string, error) { return "", nil })
	alone := func(context.Context, *Task) (string, error) {
		return fmt.Sprint(running.Load()), nil
	}
	third := start(t, m, Spec{Type: "x", Key: "t"}, alone)
	if err := m.Kill(ctx, second.ID(), "root", true); err != nil {
		t.Fatal(err)
	}
	fourth := start(t, m, Spec{Type: "x", Key: "t"}, alone)
	if s := third.Job().Status; s != Pending || !fourth.Waits() || !m.Busy("t") {
		t.Errorf("the job behind is %s", s)
	}
	close(goOn)
	for _, task := range []*Task{first, third, fourth} {
		if beside, err := task.Wait(ctx); err != nil || task != first && beside != "0" {
			t.Errorf("ran beside %s, %v", beside, err)
		}
	}
}

// TestServerDies opens the jobs of a server that is still running, which is
// what one that died leaves.
func TestServerDies(t *testing.T) {
	b := memkv.New(memkv.Options{})
	m, _ := open(t, b, Options{Workers: 1})
	begun := make(chan struct{})
	end := make(chan struct{})
	start(t, m, Spec{Type: "flush", Table: "a"}, func(context.Context, *Task) (string, error) {
		close(begun)
		<-end
		return "", nil
	})
	<-begun
	start(t, m, Spec{Type: "flush", Table: "b"}, func(context.Context, *Task) (string, error) { return "", nil })
	next, interrupted := open(t, b, Options{})
	if len(interrupted) != 2 || interrupted[0].Table != "a" || interrupted[1].Table != "b" {
		t.Fatalf("interrupted: %+v", interrupted)
	}
	for _, j := range next.List("") {
		if j.Status != Failed || j.Error != "the server ended while the job was running" || j.CompletedAt.IsZero() {
			t.Errorf("%+v", j)
		}
	}
	close(end)
}

func TestRetention(t *testing.T) {
	b := memkv.New(memkv.Options{})
	now := time.Unix(1_800_000_000, 0)
	m, _ := open(t, b, Options{Keep: 3, Retention: time.Hour, Now: func() time.Time { return now }})
	for range 5 {
		task := start(t, m, Spec{Type: "x"}, func(context.Context, *Task) (string, error) { return "", nil })
		if _, err := task.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.List("")); n != 3 {
		t.Errorf("%d jobs are kept", n)
	}
	now = now.Add(2 * time.Hour)
	next, _ := open(t, b, Options{Now: func() time.Time { return now }, Retention: time.Hour})
	if n := len(next.List("")); n != 0 {
		t.Errorf("%d jobs outlive their time", n)
	}
	stored, err := load(b)
	if err != nil || len(stored) != 0 {
		t.Errorf("%d records are left, %v", len(stored), err)
	}
}

func TestLimits(t *testing.T) {
	m, _ := open(t, memkv.New(memkv.Options{}), Options{Pending: 1})
	end := make(chan struct{})
	first := start(t, m, Spec{Type: "x"}, func(context.Context, *Task) (string, error) { <-end; return "", nil })
	if _, err := m.Start(context.Background(), Spec{Type: "x"}, nil); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("one too many: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := first.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("an impatient one got %v", err)
	}
	close(end)
	m.Close(context.Background())
	if _, err := m.Start(context.Background(), Spec{Type: "x"}, nil); dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestNewerRecordsAreRefused(t *testing.T) {
	for _, data := range []string{`{"format":99}`, `{`} {
		b := memkv.New(memkv.Options{})
		var batch kv.Batch
		batch.Put(partition, []byte("job_x"), []byte(data))
		if err := b.Write(context.Background(), &batch); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(context.Background(), b, Options{}); err == nil {
			t.Errorf("%s is taken", data)
		}
	}
}
