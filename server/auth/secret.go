package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kalamdb/kalamdb/commons/config"
)

// SecretFile is the name of the generated secret in the data directory.
const SecretFile = "jwt_secret"

// Secret gives the HS256 key: the configured one, else the one in the data
// directory, which is made at the first time. Several processes may ask at
// once; all get the same.
func Secret(c config.Auth, dir string) ([]byte, error) {
	if c.JWTSecret != "" {
		return []byte(c.JWTSecret), nil
	}
	path := filepath.Join(dir, SecretFile)
	secret, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := makeSecret(dir, path); err != nil {
		return nil, fmt.Errorf("make token secret: %w", err)
	}
	return readSecret(path)
}

func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read token secret: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the token secret %s may be read by other users of this machine (mode %04o): "+
			"run chmod 600 on it, or delete it so that a new one is made and all tokens end", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read token secret: %w", err)
	}
	b = []byte(strings.TrimSpace(string(b)))
	if len(b) < config.MinSecretLen {
		return nil, fmt.Errorf("the token secret %s has %d bytes, at least %d are needed: delete it so that a new one is made", path, len(b), config.MinSecretLen)
	}
	return b, nil
}

// makeSecret writes a new secret beside its place and then links it there, so
// that nobody ever sees half of one and of two processes the first one wins.
func makeSecret(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, SecretFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	raw := make([]byte, 48)
	rand.Read(raw) // crypto/rand.Read never fails
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(raw) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	err = os.Link(f.Name(), path)
	switch {
	case err == nil, errors.Is(err, fs.ErrExist):
		return nil
	}
	// A file system without hard links.
	return os.Rename(f.Name(), path)
}
