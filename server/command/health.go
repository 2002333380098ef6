package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// healthTimeout bounds the question.
const healthTimeout = 5 * time.Second

// health asks the server at the configured address how it is. Containers and
// supervisors run it: it needs no other program, and no credentials.
func (c *commands) health(ctx *cli.Context) error {
	loaded, err := c.load(ctx)
	if err != nil {
		return err
	}
	h, err := askHealth(ctx.Context, loaded.Server)
	if err != nil {
		return &exitError{ExitFault, err}
	}
	fmt.Fprintf(c.env.Stdout, "%s (version %s, up %.0f s)\n", h.Status, h.Version, h.UptimeSeconds)
	if h.Status != wire.Healthy {
		return &exitError{ExitFault, fmt.Errorf("the server is %s", h.Status)}
	}
	return nil
}

func askHealth(ctx context.Context, c config.Server) (h wire.Health, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	client, base, err := local(c)
	if err != nil {
		return h, err
	}
	url := base + wire.PathHealth
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return h, err
	}
	res, err := client.Do(r)
	if err != nil {
		return h, fmt.Errorf("no answer: %w", err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&h); err != nil {
		return h, fmt.Errorf("what answers at %s is no kalamdb-server (status %s)", url, res.Status)
	}
	return h, nil
}

// local gives a client for the server at the configured address, and the
// beginning of its URLs.
func local(c config.Server) (client *http.Client, base string, err error) {
	host := c.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: the server is on this machine
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = pinned(c.TLSCert); err != nil {
			return nil, "", err
		}
	}
	return &http.Client{Transport: transport}, scheme + "://" + net.JoinHostPort(host, strconv.Itoa(c.Port)), nil
}

// pinned trusts the server's own certificate and no other: its name is that of
// the outside, not 127.0.0.1.
func pinned(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read server.tls_cert: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read server.tls_cert: %s holds no PEM block", file)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The check below takes the place of the one by name.
		InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 || !bytes.Equal(raw[0], block.Bytes) {
				return errors.New("the certificate is not that of server.tls_cert")
			}
			return nil
		},
	}, nil
}
