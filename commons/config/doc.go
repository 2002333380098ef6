// Package config holds the server's configuration as plain structs, one a
// section, with their defaults and the rules that values obey. Each section is
// the options of the part that it configures.
//
// It reads nothing: files and the environment belong to server/config.
package config
