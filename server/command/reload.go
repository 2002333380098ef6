package command

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/server/app"
	"github.com/kalamdb/kalamdb/server/config"
	"github.com/kalamdb/kalamdb/server/logging"
)

// reloadable are the keys that take effect on SIGHUP; with a dot at the end
// they are whole sections.
var reloadable = []string{"log.level", "rate_limit.", "query.max_concurrent", "query.max_running", "query.max_wait", "auth.", "server.tls_cert", "server.tls_key"}

func isReloadable(key string) bool {
	for _, r := range reloadable {
		if key == r || strings.HasSuffix(r, ".") && strings.HasPrefix(key, r) {
			return true
		}
	}
	return false
}

// reload reads the configuration again and gives it to the server. A
// configuration that is wrong changes nothing. It returns the one that is in
// effect now.
func (c *commands) reload(ctx *cli.Context, s *app.Server, log *logging.Logger, old *config.Loaded) *config.Loaded {
	fresh, err := config.Load(config.Options{File: file(ctx)})
	if err != nil {
		log.Error("the configuration was not reloaded", "error", err)
		return old
	}
	for _, w := range fresh.Warnings {
		log.Warn(w)
	}
	var taken, waiting []string
	before := config.Fields(&old.Config)
	for i, f := range config.Fields(&fresh.Config) {
		switch {
		case f.Equal(before[i]):
		case isReloadable(f.Key):
			taken = append(taken, f.Key)
		default:
			waiting = append(waiting, f.Key)
		}
	}
	if err := log.Level.UnmarshalText([]byte(fresh.Log.Level)); err != nil {
		log.Error("log.level was not reloaded", "error", err)
	}
	if err := s.Reload(ctx.Context, fresh.Config); err != nil {
		log.Error("a part of the configuration was not reloaded", "error", err)
	}
	log.Info("configuration reloaded", "changed", taken)
	if len(waiting) > 0 {
		log.Warn("changed keys that take effect at the next start", "keys", waiting)
	}
	return fresh
}
