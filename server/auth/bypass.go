package auth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/kalamdb/kalamdb/commons/ident"
)

// Bypass lets programs on this machine in without credentials.
//
// It applies when all of this holds:
//
//   - the connection's peer has a loopback address;
//   - no proxy left a trace in the headers: behind one, everybody's peer
//     address is the proxy's;
//   - Host is a loopback name: under DNS rebinding a web page's own name
//     resolves to this machine, but Host still tells that name;
//   - Origin is absent (no web page), is the server itself, or is listed in
//     allowed_origins by name: "*" there does not open the bypass;
//   - the browser does not say that the request comes from another site.
type Bypass struct {
	User    ident.UserID
	Role    ident.Role
	Origins Origins
}

// ofProxy tells whether a header, as net/http spells it, is one that proxies
// leave in a request.
func ofProxy(name string) bool {
	switch name {
	case "X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "Via",
		"Cf-Connecting-Ip", "True-Client-Ip", "X-Client-Ip", "X-Original-Forwarded-For":
		return true
	}
	return false
}

// Refuses tells why the bypass does not apply to a request; "" when it does.
func (b *Bypass) Refuses(r *http.Request) string {
	if !loopbackPeer(r.RemoteAddr) {
		return "the request does not come from this machine"
	}
	for name := range r.Header {
		if ofProxy(name) {
			return "the request came through a proxy"
		}
	}
	if !loopbackHost(r.Host) {
		return "the Host header is not a name of this machine"
	}
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 && (site[0] == "cross-site" || site[0] == "same-site") {
			return "the request comes from another web site"
		}
		return ""
	}
	if len(origins) > 1 || !b.Origins.Same(r, origins[0]) && !b.Origins.Listed(origins[0]) {
		return "the request comes from a web page of another origin"
	}
	return ""
}

func loopbackPeer(addr string) bool {
	// What net/http says of most local connections needs no parsing.
	if strings.HasPrefix(addr, "127.0.0.1:") {
		return true
	}
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().Unmap().WithZone("").IsLoopback()
}

// loopbackHost tells whether a Host header names this machine.
func loopbackHost(host string) bool {
	// How nearly everybody writes it.
	if name, port, ok := strings.Cut(host, ":"); ok && (name == "localhost" || name == "127.0.0.1") && isNumber(port) {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Origins is a set of web origins.
type Origins struct {
	any    bool
	listed map[string]bool
}

// NewOrigins makes a set from [server] allowed_origins.
func NewOrigins(list []string) Origins {
	o := Origins{listed: make(map[string]bool, len(list))}
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		o.listed[normalOrigin(s)] = true
	}
	return o
}

// Listed tells whether an origin is listed by name.
func (o Origins) Listed(origin string) bool { return o.listed[normalOrigin(origin)] }

// Allowed tells whether pages of the origin may talk to the server.
func (o Origins) Allowed(origin string) bool { return o.any || o.Listed(origin) }

// Same tells whether the origin is the server that got the request.
func (Origins) Same(r *http.Request, origin string) bool {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return r.Host != "" && normalOrigin(origin) == normalOrigin(scheme+"://"+r.Host)
}

// normalOrigin is an origin in lower case without the scheme's default port,
// as browsers write it. What is no origin, such as "null", becomes "", which
// is in no set.
func normalOrigin(s string) string {
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	host := u.Host
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + host
}
