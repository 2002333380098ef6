// Package config reads the server's configuration: defaults, then config.toml,
// then the environment. It is the only part of the server that reads files or
// the environment for that, and it knows of every value where it came from.
//
// The file is strict: an unknown key, a value of the wrong kind or one that is
// not allowed stops the start with the file, the line and the key. The
// environment (KALAMDB_<SECTION>_<KEY>) is as strict about values, but an
// unknown variable is only a warning, because others set variables, too.
package config
