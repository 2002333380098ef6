package limit

import (
	"errors"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Exceeded is in the chain of an error that refuses something for a limit.
type Exceeded struct {
	// Wait is when to try again.
	Wait time.Duration
}

// Error says how long to wait.
func (e *Exceeded) Error() string { return fmt.Sprintf("over the limit for %v", e.Wait) }

// Refuse makes the error of something that is over a limit, with the time to
// wait in its hint and its chain.
func Refuse(code dberr.Code, message string, wait time.Duration) error {
	seconds := RetryAfter(wait)
	unit := "seconds"
	if seconds == "1" {
		unit = "second"
	}
	return dberr.New(code, message).WithHint("Try again in %s %s.", seconds, unit).Wrap(&Exceeded{wait})
}

// Wait is how long an error of Refuse says to wait; ok is false for any other.
func Wait(err error) (wait time.Duration, ok bool) {
	var e *Exceeded
	if errors.As(err, &e) {
		return e.Wait, true
	}
	return 0, false
}
