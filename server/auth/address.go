package auth

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/kalamdb/kalamdb/commons/config"
)

// Proxies are the networks of proxies that are believed about whom they speak
// for.
type Proxies []netip.Prefix

// NewProxies reads [server] trusted_proxies.
func NewProxies(list []string) (Proxies, error) {
	var out Proxies
	for _, s := range list {
		p, err := config.ParseNetwork(s)
		if err != nil {
			return nil, fmt.Errorf("server.trusted_proxies: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

func (p Proxies) trusts(a netip.Addr) bool {
	for _, n := range p {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Address is who a request comes from, as limits count and logs name it: the
// peer or, behind trusted proxies, the last address of X-Forwarded-For that is
// not one of theirs. What stands left of it the client may have made up. Of an
// IPv6 address it is the network of 64 bits: that is what one customer has.
func (p Proxies) Address(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := ap.Addr().Unmap().WithZone("")
	if len(p) > 0 && p.trusts(addr) {
		addr = p.forwarded(r, addr)
	}
	if addr.Is6() && !addr.IsLoopback() {
		if n, err := addr.Prefix(64); err == nil {
			return n.String()
		}
	}
	return addr.String()
}

func (p Proxies) forwarded(r *http.Request, addr netip.Addr) netip.Addr {
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		a, err := netip.ParseAddr(hop)
		if err != nil {
			ap, err := netip.ParseAddrPort(hop)
			if err != nil {
				return addr
			}
			a = ap.Addr()
		}
		addr = a.Unmap().WithZone("")
		if !p.trusts(addr) {
			return addr
		}
	}
	return addr
}
