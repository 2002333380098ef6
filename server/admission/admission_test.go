package admission

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/limit"
)

// slow lets so little through in a second that a test meets bursts alone.
func slow(burst, addressBurst int) config.RateLimit {
	return config.RateLimit{
		Enabled: true, QueriesPerSecond: 1, Burst: burst, AddressQueriesPerSecond: 1, AddressBurst: addressBurst,
		MessagesPerSecond: 2, BypassExempt: true,
	}
}

// taken counts how many of n requests are taken.
func taken(t *testing.T, n int, ask func() error) (ok int) {
	t.Helper()
	for range n {
		err := ask()
		if err == nil {
			ok++
			continue
		}
		if wait, is := limit.Wait(err); !is || wait <= 0 {
			t.Errorf("no time to come back in %v", err)
		}
	}
	return ok
}

func TestRequests(t *testing.T) {
	c := New(slow(3, 8))
	ann, bob := auth.Principal{User: "ann"}, auth.Principal{User: "bob"}
	if n := taken(t, 5, func() error { return c.Request(ann, "192.0.2.1") }); n != 3 {
		t.Error("ann:", n)
	}
	if n := taken(t, 5, func() error { return c.Request(ann, "192.0.2.2") }); n != 0 {
		t.Error("ann from elsewhere:", n)
	}
	if n := taken(t, 5, func() error { return c.Request(bob, "192.0.2.1") }); n != 3 {
		t.Error("bob:", n)
	}
	if n := taken(t, 5, func() error { return c.Stranger("192.0.2.1") }); n != 0 {
		t.Error("strangers from an address that is used up:", n)
	}
	bypass := auth.Principal{User: "ann", Bypass: true}
	if n := taken(t, 5, func() error { return c.Request(bypass, "127.0.0.1") }); n != 5 {
		t.Error("bypass:", n)
	}
	rate := slow(3, 8)
	rate.BypassExempt = false
	c.Reload(rate)
	if n := taken(t, 5, func() error { return c.Request(bypass, "127.0.0.1") }); n != 0 {
		t.Error("bypass that is not exempt:", n)
	}
	rate.Enabled = false
	c.Reload(rate)
	if n := taken(t, 5, func() error { return c.Request(ann, "192.0.2.1") }); n != 5 {
		t.Error("limits are off:", n)
	}
	var none *Control
	if none.Request(ann, "") != nil || none.Stranger("") != nil {
		t.Error("nil refuses")
	}
}

func TestMessages(t *testing.T) {
	c := New(slow(1, 1))
	r := c.Messages(auth.Principal{User: "ann"})
	n := 0
	for range 10 {
		if _, ok := r.Allow(); ok {
			n++
		}
	}
	if n != 4 { // twice a second's
		t.Error(n)
	}
	free := c.Messages(auth.Principal{Bypass: true})
	for range 1000 {
		if _, ok := free.Allow(); !ok {
			t.Fatal("the bypass is exempt")
		}
	}
}
