// Package buildinfo tells which version of the code runs. Release builds set
// the variables with -ldflags -X; other builds read what the Go toolchain
// recorded, or the working tree that they were built from.
package buildinfo

import "runtime/debug"

// Set with -ldflags "-X github.com/kalamdb/kalamdb/commons/buildinfo.version=…".
var (
	version string
	branch  string
	commit  string
)

// Info is a build's identity.
type Info struct {
	Version string
	Branch  string
	Commit  string
}

// Get tells this build's identity; what is not known is "unknown", and the
// version of a build from source is "dev".
func Get() Info {
	in := Info{Version: version, Branch: branch, Commit: commit}
	if bi, ok := debug.ReadBuildInfo(); ok && in.Commit == "" {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" {
				in.Commit = s.Value
			}
		}
	}
	if in.Branch == "" {
		branch, commit := source()
		if in.Branch = branch; in.Commit == "" {
			in.Commit = commit
		}
	}
	if in.Version == "" {
		in.Version = "dev"
	}
	if in.Branch == "" {
		in.Branch = "unknown"
	}
	if in.Commit == "" {
		in.Commit = "unknown"
	}
	return in
}
