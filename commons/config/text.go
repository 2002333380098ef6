package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time that reads and writes itself as text: "30s",
// "1h30m", "7d".
type Duration time.Duration

// Std gives the duration to the standard library.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is the duration as a configuration file has it: without the zero
// units that time.Duration writes, 5m instead of 5m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's notation of durations, and whole days ("7d"). A
// number without a unit is refused, because nobody could tell which is meant.
func (d *Duration) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err == nil && n >= 0 && n <= int64(math.MaxInt64/(24*time.Hour)) {
			*d = Duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number with a unit, such as 500ms, 30s, 5m, 24h or 7d", s)
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes that reads and writes itself as text: "16MiB".
type Size int64

// The units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

var sizeUnits = []struct {
	name  string
	bytes Size
}{
	// Longer names first: "B" is the end of all of them.
	{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// Bytes is the size as a number.
func (s Size) Bytes() int64 { return int64(s) }

// String is the size in the largest binary unit that leaves a whole number.
func (s Size) String() string {
	if s != 0 {
		for _, u := range sizeUnits[:4] {
			if s%u.bytes == 0 {
				return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
			}
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a whole number of bytes with a unit: B, KiB, MiB, GiB,
// TiB by 1024, KB, MB, GB, TB by 1000. The unit may stand apart and in any
// case; without one the number is bytes.
func (s *Size) UnmarshalText(text []byte) error {
	str := strings.TrimSpace(string(text))
	num, unit := str, Size(1)
	for _, u := range sizeUnits {
		if n := len(str) - len(u.name); n > 0 && strings.EqualFold(str[n:], u.name) {
			num, unit = strings.TrimSpace(str[:n]), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return fmt.Errorf("%q is not a size: write a whole number with a unit, such as 64KiB, 16MiB or 1GiB", str)
	}
	*s = Size(n) * unit
	return nil
}
