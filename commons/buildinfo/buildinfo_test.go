package buildinfo

import "testing"

func TestNothingIsEverEmpty(t *testing.T) {
	if in := Get(); in.Version == "" || in.Branch == "" || in.Commit == "" {
		t.Errorf("%+v", in)
	}
}

func TestReleaseBuildsSetTheVariables(t *testing.T) {
	version, branch, commit = "v1.2.3", "main", "abc"
	defer func() { version, branch, commit = "", "", "" }()
	if got, want := Get(), (Info{"v1.2.3", "main", "abc"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
