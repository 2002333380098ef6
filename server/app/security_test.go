package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/syncbuf"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/auth"
)

// get asks for a path; headers are name, value, …
func get(t testing.TB, s *Server, path string, headers ...string) (status int, body string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return roundTrip(t, r, headers)
}

// TestEndpoints asks every endpoint as everybody.
func TestEndpoints(t *testing.T) {
	s, c := matrixServer(t)
	for _, a := range actors(t, s, c) {
		want := 200
		if a.role == ident.RoleUser {
			want = 403
		}
		if status, body, _ := get(t, s, wire.PathMetrics, a.headers...); status != want || want == 200 && !strings.Contains(body, "kalamdb_build_info") {
			t.Errorf("%s: metrics: %d", a.name, status)
		}
		for _, path := range []string{wire.PathHealth, wire.PathHealthAlias, wire.PathHealthShort} {
			if status, _, _ := get(t, s, path, a.headers...); status != 200 {
				t.Errorf("%s: %s: %d", a.name, path, status)
			}
		}
		for _, path := range []string{wire.PathWS, wire.PathWSAlias} {
			if status, _, _ := get(t, s, path, a.headers...); status != 426 {
				t.Errorf("%s: %s without an upgrade: %d", a.name, path, status)
			}
		}
		if status, _, _ := get(t, s, "/v1/api/nothing", a.headers...); status != 404 {
			t.Errorf("%s: a path that is not there: %d", a.name, status)
		}
		if status, _, _ := get(t, s, wire.PathSQL, a.headers...); status != 405 {
			t.Errorf("%s: GET %s: %d", a.name, wire.PathSQL, status)
		}
	}
	for name, x := range strangers(t, c) {
		if status, body, _ := get(t, s, wire.PathMetrics, x.headers...); status != 401 || strings.Contains(body, "kalamdb_") {
			t.Errorf("%s: metrics: %d", name, status)
		}
		if status, _, _ := get(t, s, wire.PathHealth, x.headers...); status != 200 {
			t.Errorf("%s: health: %d", name, status)
		}
		upgrade := append([]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}, x.headers...)
		switch status, _, _ := get(t, s, wire.PathWS, upgrade...); {
		case name == "nothing, through a proxy" && status == 101: // waits for its first message
		case name == "nothing, with a foreign origin" && status == 403:
		case status == 401:
		default:
			t.Errorf("%s: handshake: %d", name, status)
		}
	}
	pub := testConfig(t)
	pub.Metrics.Public = true
	if status, _, _ := get(t, start(t, pub), wire.PathMetrics, proxied...); status != 200 {
		t.Error("public metrics:", status)
	}
	off := testConfig(t)
	off.Metrics.Enabled = false
	if status, _, _ := get(t, start(t, off), wire.PathMetrics); status != 404 {
		t.Error("metrics that are off:", status)
	}
}

// raw sends bytes and gives the status line of the answer, and whether the
// server closed the connection after it. It waits for no longer than patience.
func raw(t testing.TB, s *Server, text string) (status string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		return "closed"
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "closed"
	}
	return strings.TrimSpace(line)
}

// TestRequestTricks sends what smugglers, scanners and fuzzers send.
func TestRequestTricks(t *testing.T) {
	c := testConfig(t)
	c.Server.RequestTimeout = config.Duration(2 * time.Second) // what is never whole is given up soon
	s := start(t, c)
	body := `{"sql":"SELECT 1"}`
	head := func(lines ...string) string {
		return "POST " + wire.PathSQL + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	}
	length := fmt.Sprintf("Content-Length: %d", len(body))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	for _, tc := range []struct{ name, text, want string }{
		{"as it should be", head(length) + "\r\n" + body, "200"},
		{"two lengths", head(length, "Content-Length: 3") + "\r\n" + body, "400"},
		{"a signed length", head("Content-Length: +18") + "\r\n" + body, "400"},
		{"a length that is no number", head("Content-Length: 0x12") + "\r\n" + body, "400"},
		{"an unknown encoding", head("Transfer-Encoding: xchunked") + "\r\n" + chunked, "501"},
		{"two encodings", head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "\r\n" + chunked, "501"},
		{"a space before the colon", head("Content-Length : 18") + "\r\n" + body, "400"},
		{"a header without a name", head(": x", length) + "\r\n" + body, "400"},
		{"two hosts", head("Host: evil.example", length) + "\r\n" + body, "400"},
		{"no host", "POST " + wire.PathSQL + " HTTP/1.1\r\n" + length + "\r\n\r\n" + body, "400"},
		{"a zero byte in a header", head("X-User-Id: a\x00b", length) + "\r\n" + body, "400"},
		{"a bare CR in a header", head("X-User-Id: a\rX-Y: b", length) + "\r\n" + body, "400"},
		{"a proxy's request", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", "404"},
		{"HTTP/0.9", "GET /\r\n\r\n", "400"},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"},
		{"a path that climbs", "GET /v1/api/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"},
		{"a path that climbs in disguise", "GET /v1/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"},
		{"a path with a second slash", "POST /" + wire.PathSQL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "404"},
		{"an absolute address", "GET http://evil.example" + wire.PathHealth + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"},
		{"a huge header", head("X-Y: "+strings.Repeat("a", 200<<10)) + "\r\n", "431"},
		{"many headers", head(strings.Repeat("A: b\r\n", 30_000)+"C: d") + "\r\n", "431"},
	} {
		// A refusal may also show as a connection that is closed while the
		// client still writes.
		if got := raw(t, s, tc.text); !strings.Contains(got, " "+tc.want+" ") && !(got == "closed" && tc.want == "431") {
			t.Errorf("%s: %q, want %s", tc.name, got, tc.want)
		}
	}
	// Of a length and chunks in one request the chunks are believed (RFC 9112,
	// section 6.3): with the length, the body would be no JSON. What a proxy may
	// have taken for the rest of the body is not taken for a request.
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	next := "GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"
	fmt.Fprint(conn, head("Content-Length: 5", "Transfer-Encoding: chunked")+"\r\n"+chunked+next)
	answers, err := io.ReadAll(conn)
	if err != nil || bytes.Count(answers, []byte("HTTP/1.1 ")) != 1 || !bytes.HasPrefix(answers, []byte("HTTP/1.1 200 ")) || !bytes.Contains(answers, []byte("Connection: close\r\n")) {
		t.Errorf("%v: %s", err, answers)
	}
}

// TestSQLThroughHeaders puts SQL and paths where names belong.
func TestSQLThroughHeaders(t *testing.T) {
	s, _ := matrixServer(t)
	exec(t, s, "INSERT INTO app.notes VALUES (1, 'ann')", wire.HeaderUserID, "ann")
	for _, evil := range []string{
		"ann' OR '1'='1", "ann'; DROP TABLE app.notes; --", "../ann", "..%2fann", "ann/../../x", "*", "%", "_", "ann OR 1=1", `ann" --`, "ANN", " ann ", "ann.",
	} {
		got := post(t, s, wire.SQLRequest{SQL: "SELECT body FROM app.notes"}, wire.HeaderUserID, evil)
		if strings.Contains(got.Text, `"body":"ann"`) && strings.TrimSpace(evil) != "ann" {
			t.Errorf("as %q one sees ann's rows: %s", evil, got.Text)
		}
		for _, header := range []string{wire.HeaderNamespace, wire.HeaderSessionID} {
			got := post(t, s, wire.SQLRequest{SQL: "SELECT 1 AS one"}, header, evil)
			if got.HTTP != 200 && (got.HTTP < 400 || got.HTTP >= 500) {
				t.Errorf("%s: %q: %s", header, evil, got.Text)
			}
		}
		if got := post(t, s, wire.SQLRequest{SQL: "SELECT body FROM notes", NamespaceID: evil}); got.HTTP == 200 || got.HTTP >= 500 {
			t.Errorf("namespace %q: %s", evil, got.Text)
		}
	}
	if got := exec(t, s, "SELECT count(*) AS n FROM app.notes", wire.HeaderUserID, "ann"); rowsOf(got) != `{"n":1}` {
		t.Error(got.Text)
	}
	// Names that would climb out of a folder are names like any other: where
	// they become paths they are escaped. Those that are no names are refused.
	for _, name := range []string{"../x", "..", "a/b", `a\b`, "a\x00b", strings.Repeat("n", 300)} {
		bad := len(name) > 200 || strings.Contains(name, "\x00")
		for _, sql := range []string{`CREATE NAMESPACE %s`, `CREATE TABLE app.%s (id BIGINT)`, `CREATE TABLE %s.t (id BIGINT)`, `DROP TABLE app.%s`} {
			if got := post(t, s, wire.SQLRequest{SQL: fmt.Sprintf(sql, `"`+name+`"`)}); bad && got.HTTP == 200 || got.HTTP >= 500 {
				t.Errorf("%s with %q: %s", sql, name, got.Text)
			}
		}
	}
}

// TestOversized sends too much of everything.
func TestOversized(t *testing.T) {
	c := testConfig(t)
	c.Server.MaxBody = 256 * config.KiB
	s := start(t, c)
	big := strings.Repeat("x", 300<<10)
	if got := post(t, s, wire.SQLRequest{SQL: "SELECT '" + big + "'"}); got.HTTP != 413 || got.Error.Code != string(dberr.TooLarge) {
		t.Error(got.HTTP, got.Error)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+wire.PathSQL, io.MultiReader(strings.NewReader(`{"sql":"`), strings.NewReader(big)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r) // chunked: its size is not announced
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 413 {
		t.Error("chunked:", res.Status)
	}
	for name, sql := range map[string]string{
		"parentheses": "SELECT " + strings.Repeat("(", 50_000) + "1" + strings.Repeat(")", 50_000),
		"minuses":     "SELECT " + strings.Repeat("- ", 100_000) + "1",
		"NOT":         "SELECT " + strings.Repeat("NOT ", 50_000) + "true",
		"CASE":        "SELECT " + strings.Repeat("CASE WHEN true THEN ", 10_000) + "1" + strings.Repeat(" END", 10_000),
		"subqueries":  "SELECT " + strings.Repeat("(SELECT ", 20_000) + "1" + strings.Repeat(")", 20_000),
		"statements":  strings.Repeat("SELECT 1;", 20_000) + "x",
	} {
		if got := post(t, s, wire.SQLRequest{SQL: sql}); got.HTTP >= 500 && got.HTTP != 503 || got.Error == nil {
			t.Errorf("%s: %d %.300s", name, got.HTTP, got.Text)
		}
	}
	deep := `{"sql":"SELECT 1","params":[` + strings.Repeat("[", 60_000) + strings.Repeat("]", 60_000) + `]}`
	if status, ok := tryPost(t, s, deep, "ann"); !ok || status < 400 || status >= 500 {
		t.Error("nested JSON:", status, ok)
	}
	if a := exec(t, s, "SELECT 1 AS one"); rowsOf(a) != `{"one":1}` {
		t.Error(a.Text)
	}
}

// TestSlowClients holds many connections with requests that never become whole:
// others are served meanwhile, and the connections are closed.
func TestSlowClients(t *testing.T) {
	c := testConfig(t)
	c.Server.RequestTimeout = config.Duration(time.Second)
	c.Query.MaxConcurrent = 4
	s := start(t, c)
	head := "POST " + wire.PathSQL + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	var conns []net.Conn
	for i := range 60 {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text := head[:20+i%20] // no whole head
		if i%2 == 0 {
			text = head + "Content-Length: 100\r\n\r\n{\"sql\":" // no whole body
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for range 20 {
		if a := exec(t, s, "SELECT 1 AS one"); a.HTTP != 200 {
			t.Error(a.Text)
		}
	}
	for i, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatalf("connection %d is not closed: %v", i, err)
		}
		if i%2 == 0 && !strings.Contains(string(answer), string(dberr.Timeout)) {
			t.Errorf("connection %d is not told why: %q", i, answer)
		}
	}
}

// TestTooManyConnections opens more connections than the server takes.
func TestTooManyConnections(t *testing.T) {
	c := testConfig(t)
	c.Server.MaxConnections = 5
	s := start(t, c)
	var kept []net.Conn
	refused := 0
	for range 12 {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", wire.PathHealth)
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			refused++
			continue
		}
		kept = append(kept, conn)
	}
	if len(kept) != 5 || refused != 7 || s.figures().RefusedConnections < 7 {
		t.Error(len(kept), refused, s.figures())
	}
	for _, conn := range kept {
		conn.Close()
	}
	for end := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", wire.PathHealth)
		b, _ := io.ReadAll(conn)
		conn.Close()
		if strings.Contains(string(b), "200 OK") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("places are not given back")
		}
	}
}

// TestRateLimits asks faster than it may.
func TestRateLimits(t *testing.T) {
	c := testConfig(t)
	c.Auth.JWTSecret = strings.Repeat("rate-secret-", 4)
	c.RateLimit.QueriesPerSecond, c.RateLimit.Burst = 1, 5
	c.RateLimit.AddressQueriesPerSecond, c.RateLimit.AddressBurst = 1, 12
	s := start(t, c)
	burst := func(user ident.UserID, n int) (taken int) {
		token, err := auth.Issue(c.Auth, []byte(c.Auth.JWTSecret), user, ident.RoleUser, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			status, body, header := ask(t, s, "Authorization", "Bearer "+token)
			switch status {
			case 200:
				taken++
			case 429:
				if header.Get("Retry-After") == "" || !strings.Contains(body, string(dberr.RateLimited)) {
					t.Error(header, body)
				}
			default:
				t.Error(status, body)
			}
		}
		return taken
	}
	// A slow machine may get another one in for each second that passes.
	if n := burst("ann", 10); n < 5 || n > 8 {
		t.Error("ann:", n)
	}
	if n := burst("bob", 5); n < 1 || n > 5 {
		t.Error("bob, from the address that ann has nearly used up:", n)
	}
	for range 20 {
		if status, body, _ := ask(t, s); status != 200 {
			t.Fatal("the bypass is exempt:", body)
		}
	}
}

func ask(t testing.TB, s *Server, headers ...string) (int, string, http.Header) {
	t.Helper()
	return send(t, s, `{"sql":"SELECT 1"}`, headers...)
}

// TestSecretsStaySecret marks every secret that the server gets to know, makes
// it do everything that could bring one out, with the log at its most
// talkative, and looks through all that came out.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "canary-jwt-secret-0123456789abcdefghijkl"
	const credential = "canary-storage-credential"
	c := testConfig(t)
	c.Store.Backend = config.BackendBadger
	c.Auth.JWTSecret = secret
	c.Query.Slow = 1 // everything is slow
	var log syncbuf.Buffer
	s := New(c, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = s.Stop(context.Background())
		}
	}()
	defer http.DefaultClient.CloseIdleConnections()

	var out strings.Builder
	say := func(a answer) answer {
		out.WriteString(a.Text)
		return a
	}
	created := post(t, s, wire.SQLRequest{SQL: "CREATE API KEY FOR 'ann' NAME 'laptop'"}) // shown here, once
	var key struct {
		KeyID  string `json:"key_id"`
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal(created.Results[0].Rows[0], &key); err != nil {
		t.Fatal(err)
	}
	token, err := auth.Issue(c.Auth, []byte(secret), "ann", ident.RoleUser, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	old, err := auth.Issue(c.Auth, []byte(secret), "ann", ident.RoleUser, time.Now(), -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	broken := token[:len(token)-4] + "AAAA"
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + token}, {"Authorization", "Bearer " + old}, {"Authorization", "Bearer " + broken}, {"Authorization", token},
		{"Authorization", "Basic " + token}, {"X-API-KEY", key.APIKey}, {"X-API-KEY", key.APIKey + "x"}, {"Authorization", "Bearer " + key.APIKey},
		{"X-API-KEY", key.APIKey, "Authorization", "Bearer " + token}, {"X-API-KEY", key.APIKey, wire.HeaderUserID, "bob"},
	} {
		for _, sql := range []string{"SELECT 1", "SELECT * FROM system.api_keys", "SELECT * FROM system.users", "nonsense", "SELECT * FROM nothing"} {
			say(post(t, s, wire.SQLRequest{SQL: sql}, headers...))
		}
		_, body, _ := get(t, s, wire.PathMetrics, headers...)
		out.WriteString(body)
		_, body, _ = get(t, s, "/nothing", headers...)
		out.WriteString(body)
	}
	storage := `CREATE STORAGE far TYPE s3 PATH 's3://bucket/x' CREDENTIALS '{"access_key_id":"` + credential + `","secret_access_key":"` + credential + `"}'`
	for _, sql := range []string{
		storage, storage, strings.Replace(storage, "far", "'", 1), storage + " nonsense", "ALTER STORAGE far SET CREDENTIALS '" + credential + "'",
		"EXPLAIN " + storage, "SHOW STORAGES", "SELECT * FROM system.storages", "SELECT * FROM system.plan_cache", "SELECT * FROM system.jobs",
		"SELECT * FROM system.api_keys", "SELECT * FROM system.sessions", "SHOW TABLES", "DROP API KEY '" + key.KeyID + "'", "DROP API KEY '" + key.KeyID + "'",
	} {
		say(post(t, s, wire.SQLRequest{SQL: sql}))
		say(post(t, s, wire.SQLRequest{SQL: sql}, append([]string{"Authorization", "Bearer " + token}, proxied...)...))
	}
	if _, ok := tryPost(t, s, `{"sql": "`+secret, "ann"); !ok {
		t.Error("the server is gone")
	}
	_, body, _ := get(t, s, wire.PathWS+"?token="+url.QueryEscape(token)) // a token where it must not be
	out.WriteString(body)
	stopped = true
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "slow statement") || !strings.Contains(log.String(), "authentication failed") {
		t.Error("the log says too little for this test to mean anything:", log.String())
	}
	parts := strings.Split(token, ".")
	for name, text := range map[string]string{
		"the JWT secret": secret, "a token": token, "a token's signature": parts[2], "a token's claims": parts[1],
		"an expired token": old, "an API key": key.APIKey, "an API key's secret": key.APIKey[len(key.APIKey)-43:], "a storage's credential": credential,
	} {
		for where, all := range map[string]string{"the log": log.String(), "the answers": out.String()} {
			if i := strings.Index(all, text); i >= 0 {
				t.Errorf("%s is in %s: …%s", name, where, all[max(0, i-300):min(len(all), i+100)])
			}
		}
	}
}

// TestCertificateReload gives a server another certificate while it runs.
func TestCertificateReload(t *testing.T) {
	c := testConfig(t)
	c.Server.TLSCert, c.Server.TLSKey, _ = selfSigned(t)
	s := start(t, c)
	serial := func() string {
		conn, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return fmt.Sprintf("%x", conn.ConnectionState().PeerCertificates[0].Signature)
	}
	first := serial()
	fresh := c
	fresh.Server.TLSCert, fresh.Server.TLSKey, _ = selfSigned(t)
	if err := s.Reload(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	second := serial()
	if second == first {
		t.Error("the old certificate is still shown")
	}
	fresh.Server.TLSCert = fresh.Server.TLSKey
	if err := s.Reload(t.Context(), fresh); err == nil || serial() != second {
		t.Error("a certificate that cannot be read changed something:", err)
	}
}
