package badgerkv

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logBridge hands Badger's log to slog. Badger tells of every flush and
// compaction at its Info, which is our Debug; its Debug is dropped.
type logBridge struct{ log *slog.Logger }

func (l logBridge) Errorf(format string, args ...any)   { l.write(slog.LevelError, format, args) }
func (l logBridge) Warningf(format string, args ...any) { l.write(slog.LevelWarn, format, args) }
func (l logBridge) Infof(format string, args ...any)    { l.write(slog.LevelDebug, format, args) }
func (l logBridge) Debugf(string, ...any)               {}

func (l logBridge) write(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, strings.TrimSpace(fmt.Sprintf(format, args...)), "from", "badger")
	}
}
