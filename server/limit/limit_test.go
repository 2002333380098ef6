package limit

import (
	"strconv"
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	r := NewRate(10, time.Second, 3)
	at := now() // a burst of three, then one every 100 ms
	for i := range 3 {
		if wait, ok := r.allow(at); !ok {
			t.Fatalf("event %d of the burst is refused for %v", i, wait)
		}
	}
	if wait, ok := r.allow(at); ok || wait != 100*time.Millisecond {
		t.Fatal("the fourth at once:", wait, ok)
	}
	if wait, ok := r.allow(at + 40*time.Millisecond); ok || wait != 60*time.Millisecond {
		t.Fatal("too early:", wait, ok)
	}
	if _, ok := r.allow(at + 100*time.Millisecond); !ok {
		t.Fatal("in time, but refused")
	}
	if _, ok := r.allow(at + 150*time.Millisecond); ok {
		t.Fatal("the refused one counted, or the rate is not kept")
	}
	for i := range 3 {
		if _, ok := r.allow(at + time.Hour); !ok {
			t.Fatalf("event %d after a rest is refused", i)
		}
	}
	if _, ok := r.allow(at + time.Hour); ok {
		t.Fatal("a rest gives more than the burst")
	}
}

func TestRateExtremes(t *testing.T) {
	var zero Rate
	huge := NewRate(1, time.Hour, 1<<62)
	fast := NewRate(1<<40, time.Nanosecond, 1)
	for range 1000 {
		if _, ok := zero.Allow(); !ok {
			t.Fatal("the zero value refuses")
		}
		if _, ok := huge.Allow(); !ok {
			t.Fatal("a huge burst refuses")
		}
	}
	if _, ok := fast.Allow(); !ok {
		t.Fatal("a rate beyond the clock refuses the first")
	}
}

func TestRatesKeepKeysApart(t *testing.T) {
	r := NewRates(1, time.Hour, 2)
	for _, key := range []string{"a", "b"} {
		for range 2 {
			if _, yes := r.Exceeded(key); yes {
				t.Fatal(key, "is over the limit before its burst is used")
			}
			if _, ok := r.Allow(key); !ok {
				t.Fatal(key, "has no burst of its own")
			}
		}
		if wait, ok := r.Allow(key); ok || wait <= 0 || wait > time.Hour {
			t.Fatal(key, wait, ok)
		}
		if _, yes := r.Exceeded(key); !yes {
			t.Fatal(key, "is not over the limit")
		}
	}
	r.Set(0, time.Second, 1)
	if _, ok := r.Allow("a"); !ok {
		t.Fatal("no limit, but refused")
	}
}

func TestRatesAreBounded(t *testing.T) {
	r := NewRates(1, time.Hour, 1)
	r.Allow("early")
	for i := range 3 * maxKeys {
		r.Allow(strconv.Itoa(i))
		if i%1000 == 0 {
			if _, ok := r.Allow("busy"); i > 0 && ok {
				t.Fatal("a key that keeps trying was forgotten after", i)
			}
		}
		if len(r.new) > maxKeys || len(r.old) > maxKeys {
			t.Fatal("it grows without a bound")
		}
	}
	if _, ok := r.Allow("early"); !ok {
		t.Fatal("a key that rested for long was not forgotten")
	}
}

func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", time.Minute: "60"} {
		if got := RetryAfter(wait); got != want {
			t.Errorf("%v: %s, want %s", wait, got, want)
		}
	}
}

func BenchmarkRates(b *testing.B) {
	r := NewRates(1<<30, time.Second, 1<<30)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.Allow("user"); !ok {
			b.Fatal("refused")
		}
	}
}
