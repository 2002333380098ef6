package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/server/auth"
)

// Reload takes from a changed configuration what can change while the server
// runs: [rate_limit], the limits of [query] for concurrency, [auth] with all keys of tokens, and
// the TLS certificate. Everything else stays as it was at the start. What
// cannot be taken stays as it is and is told; the rest is taken.
func (s *Server) Reload(ctx context.Context, c config.Config) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if !s.open.Load() {
		return errors.New("reload: the server is not open")
	}
	var errs []error
	s.admission.Reload(c.RateLimit)
	s.engine.SetLimits(c.Query)
	if err := s.reloadAuth(ctx, c.Auth); err != nil {
		errs = append(errs, fmt.Errorf("reload [auth]: %w", err))
	}
	if s.listener.certificate != nil && c.Server.TLSCert != "" {
		certificate, err := readCertificate(c.Server)
		if err != nil {
			errs = append(errs, fmt.Errorf("reload: %w", err))
		} else {
			s.listener.certificate.Store(certificate)
		}
	}
	return errors.Join(errs...)
}

func (s *Server) reloadAuth(ctx context.Context, c config.Auth) error {
	secret, err := auth.Secret(c, s.cfg.Data.Dir)
	if err != nil {
		return err
	}
	return s.auth.Reload(ctx, c, secret)
}
