package theme

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func env(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

func TestChoose(t *testing.T) {
	const many = "xterm-256color"
	for _, tc := range []struct {
		name, term, colors string
		want               Palette
	}{
		{"auto", many, "", either}, {"", many, "", either}, {"auto", "linux", "", dark},
		{"auto", "xterm", "", either16}, {"", "screen", "", either16}, {"auto", "vt220", "", dark}, {"dark", "xterm", "", dark},
		{"auto", many, "15;0", dark}, {"auto", many, "0;15", light}, {"auto", many, "0;default;15", light}, {"auto", "xterm", "0;15", light16},
		{"auto", many, "0;7", light}, {"auto", many, "7;8", dark}, {"auto", many, "12;default", either}, {"auto", many, "99;99", either}, {"auto", many, "junk", either},
		{"dark", many, "0;15", dark}, {"Light", many, "15;0", light}, {"light", "vt220", "", light16},
	} {
		if got := Choose(tc.name, env(map[string]string{"TERM": tc.term, "COLORFGBG": tc.colors})); got != tc.want {
			t.Errorf("%q on %s with %q gives %+v", tc.name, tc.term, tc.colors, got)
		}
	}
	if Choose("light", env(map[string]string{"TERM": "xterm", "COLORTERM": "truecolor"})) != light {
		t.Error("COLORTERM is not looked at")
	}
	if Check("auto") != nil || Check("DARK") != nil || Check("solarized") == nil || Check("") == nil {
		t.Error("Check")
	}
}

func TestPaint(t *testing.T) {
	if got := Color("1;34").Paint("x"); got != "\x1b[1;34mx\x1b[0m" {
		t.Errorf("%q", got)
	}
	if got := Color("").Paint("x"); got != "x" {
		t.Errorf("%q", got)
	}
	if got := Color("1").Paint(""); got != "" {
		t.Errorf("%q", got)
	}
}

// TestColorsRead measures every colour against the backgrounds that its palette
// is for, with the contrast of WCAG 2.1. 3 is its bar for what is large or bold,
// 4.5 for body text; middle tones cannot have that on both.
func TestColorsRead(t *testing.T) {
	for _, tc := range []struct {
		name    string
		p       Palette
		grounds []float64
		bar     float64
	}{
		{"dark", dark, []float64{0}, 4.3}, {"light", light, []float64{1}, 4.5}, {"light of 16 colours", light16, []float64{1}, 3.9}, {"either", either, []float64{0, 1}, 3.8},
		{"either of 16 colours", either16, []float64{0, 1}, 3.9},
	} {
		v := reflect.ValueOf(tc.p)
		for i := range v.NumField() {
			c := Color(v.Field(i).String())
			l, ok := luminance(t, c)
			if !ok {
				continue // bold or italic alone: the terminal's own colour
			}
			for _, ground := range tc.grounds {
				contrast := (math.Max(l, ground) + 0.05) / (math.Min(l, ground) + 0.05)
				if contrast < tc.bar {
					t.Errorf("%s: %s (%s) has a contrast of %.1f to %v", tc.name, v.Type().Field(i).Name, c, contrast, ground)
				}
			}
		}
	}
}

// xterm's sixteen colours.
var sixteen = [][3]float64{
	{0, 0, 0}, {205, 0, 0}, {0, 205, 0}, {205, 205, 0}, {0, 0, 238}, {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
	{127, 127, 127}, {255, 0, 0}, {0, 255, 0}, {255, 255, 0}, {92, 92, 255}, {255, 0, 255}, {0, 255, 255}, {255, 255, 255},
}

// luminance is WCAG's, of the colour that a sequence sets.
func luminance(t *testing.T, c Color) (float64, bool) {
	t.Helper()
	parts := strings.Split(string(c), ";")
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil {
			t.Fatalf("the colour %q", c)
		}
		var rgb [3]float64
		switch {
		case n == 38:
			n, _ = strconv.Atoi(parts[i+2])
			rgb = indexed(n)
		case n >= 30 && n <= 37:
			rgb = sixteen[n-30]
		case n >= 90 && n <= 97:
			rgb = sixteen[n-90+8]
		default:
			continue
		}
		l := 0.0
		for k, weight := range []float64{0.2126, 0.7152, 0.0722} {
			s := rgb[k] / 255
			if s <= 0.03928 {
				s /= 12.92
			} else {
				s = math.Pow((s+0.055)/1.055, 2.4)
			}
			l += weight * s
		}
		return l, true
	}
	return 0, false
}

// indexed is a colour of the table of 256.
func indexed(n int) [3]float64 {
	switch {
	case n < 16:
		return sixteen[n]
	case n >= 232:
		g := float64(8 + 10*(n-232))
		return [3]float64{g, g, g}
	}
	step := []float64{0, 95, 135, 175, 215, 255}
	n -= 16
	return [3]float64{step[n/36], step[n/6%6], step[n%6]}
}
