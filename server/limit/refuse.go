package limit

import (
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Refuse makes the error of something that is over a limit, with the time to
// wait.
func Refuse(code dberr.Code, message string, wait time.Duration) error {
	seconds := RetryAfter(wait)
	unit := "seconds"
	if seconds == "1" {
		unit = "second"
	}
	return dberr.New(code, message).WithHint("Try again in %s %s.", seconds, unit).WithRetry(wait)
}

// Wait is how long an error says to wait; ok is false for one that does not.
func Wait(err error) (wait time.Duration, ok bool) {
	if e, coded := dberr.As(err); coded {
		return e.Retry, e.Retry > 0
	}
	return 0, false
}
