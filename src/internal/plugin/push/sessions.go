// SPDX-License-Identifier: Apache-2.0

package push

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/natefinch/atomic"
)

// sessionLifetime is how long an interrupted upload is remembered; registries forget it earlier.
const sessionLifetime = 7 * 24 * time.Hour

// Sessions remembers interrupted uploads in a directory of the user's. A session's target lets its bearer
// continue that upload, so only the user can read it. To lose one costs time and nothing else: errors of the
// disk are no errors of the push. A nil *Sessions remembers nothing.
type Sessions struct{ dir string }

// OpenSessions uses dir, made when it does not exist. What is too old in it is removed.
func OpenSessions(dir string) (*Sessions, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("remember interrupted uploads: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("remember interrupted uploads: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > sessionLifetime {
			_ = os.Remove(filepath.Join(dir, e.Name())) // only tidying
		}
	}
	return &Sessions{dir}, nil
}

// record is the content of one file. Digest is there for whoever looks at it.
type record struct {
	Digest string `json:"digest"`
	Target string `json:"target"`
	// Offset is how many bytes the registry had when it last said so.
	Offset int64 `json:"offset,omitempty"`
}

func (s *Sessions) path(base *url.URL, digest string) string {
	key := sha256.Sum256([]byte(base.String() + "\n" + digest))
	return filepath.Join(s.dir, hex.EncodeToString(key[:])+".json")
}

// load returns what is known of an upload; its target is empty where nothing is.
func (s *Sessions) load(base *url.URL, digest string) record {
	if s == nil {
		return record{}
	}
	raw, err := os.ReadFile(s.path(base, digest))
	if err != nil {
		return record{}
	}
	var r record
	if json.Unmarshal(raw, &r) != nil || r.Digest != digest || !strings.HasPrefix(r.Target, "/v2/") || r.Offset < 0 {
		return record{}
	}
	return r
}

// save reports whether the upload will be found again.
func (s *Sessions) save(base *url.URL, r record) bool {
	if s == nil {
		return false
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return false
	}
	return atomic.WriteFile(s.path(base, r.Digest), bytes.NewReader(raw)) == nil // without it, the push goes on
}

func (s *Sessions) forget(base *url.URL, digest string) {
	if s == nil {
		return
	}
	if err := os.Remove(s.path(base, digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // a stale record is found out when it is used
	}
}
