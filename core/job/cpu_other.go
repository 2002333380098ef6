//go:build !linux

package job

import "time"

// threadTime is not offered here; a job's processor time is then the time that
// it ran.
func threadTime() (time.Duration, bool) { return 0, false }
