// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache/storage"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// counts is what the cache told its observer.
type counts struct {
	mu                       sync.Mutex
	answers                  map[string]int // by kind and result
	fetched, evicted, failed int
	sent                     int64
}

func (c *counts) CacheAnswered(kind oci.Kind, result cache.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[string(kind)+" "+string(result)]++
}

func (c *counts) CacheFetched(n int) { c.mu.Lock(); defer c.mu.Unlock(); c.fetched += n }
func (c *counts) CacheSent(n int64)  { c.mu.Lock(); defer c.mu.Unlock(); c.sent += n }
func (c *counts) CacheEvicted()      { c.mu.Lock(); defer c.mu.Unlock(); c.evicted++ }
func (c *counts) CacheFailed()       { c.mu.Lock(); defer c.mu.Unlock(); c.failed++ }

// of returns how many answers there were of a kind and result.
func (c *counts) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[what]
}

// openCache opens the cache of a world; nil without one.
func (w *world) openCache(url string, logger *slog.Logger) *cache.Cache {
	w.t.Helper()
	if url == "" {
		return nil
	}
	settings, err := storage.ParseURL(url)
	if err != nil {
		w.t.Fatal(err)
	}
	place, err := storage.Open(w.t.Context(), settings, w.counts, logger)
	if err != nil {
		w.t.Fatal(err)
	}
	opened := cache.New(w.t.Context(), cache.Config{Policy: settings.Policy, Storage: place, Observer: w.counts, Log: logger})
	w.t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return opened
}

// directory is the URL of a cache in a directory.
func directory(dir, query string) string { return "file://" + filepath.ToSlash(dir) + "?" + query }

// objects are the files of a cache's directory below a folder, by their paths.
func objects(t *testing.T, dir, below string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(dir, below), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}

// contentFile is where a directory has a blob.
func contentFile(dir, digest string) string {
	algorithm, encoded, _ := strings.Cut(digest, ":")
	return filepath.Join(dir, "content", algorithm, encoded[:2], encoded)
}

// age makes all that registries have said older. A cache that is open holds some of it in memory.
func age(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	for _, path := range objects(t, dir, "answers") {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		if err := json.Unmarshal(content, &answer); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, answer["at"].(string))
		if err != nil {
			t.Fatal(err)
		}
		answer["at"] = at.Add(-by).Format(time.RFC3339Nano)
		if content, err = json.Marshal(answer); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
