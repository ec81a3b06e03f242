// SPDX-License-Identifier: Apache-2.0

package objects_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/objects"
)

// following is a directory that is followed.
type following struct {
	*objects.Objects
	dir      string
	log      *lines
	catalogs chan *catalog.Catalog
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// follow follows a directory with these files, by name.
func follow(t *testing.T, files map[string]string) *following {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	f := &following{dir: t.TempDir(), log: &lines{}, catalogs: make(chan *catalog.Catalog, 16)}
	for name, content := range files {
		f.write(t, name, content)
	}
	ctx, cancel := context.WithCancel(t.Context())
	followed, err := objects.Follow(ctx, objects.Config{Dir: f.dir, Log: slog.New(slog.NewTextHandler(f.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := followed.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	f.Objects = followed
	followed.Store().Subscribe(func(c *catalog.Catalog) { f.catalogs <- c })
	return f
}

// write puts a file in place at once, as a careful author does.
func (f *following) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// until waits for a catalog that is as wanted.
func (f *following) until(wanted func(*catalog.Catalog) bool) {
	for c := f.Store().Current(); !wanted(c); c = <-f.catalogs {
	}
}

func license(name, id string, more ...string) string {
	return "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: " + name + "}\nspec:\n  appSlug: app\n" +
		"  customerName: Customer\n  credentials: [{name: id, sha256: " + imageproxy.Hash(id) + "}]\n" + strings.Join(more, "\n") + "\n"
}

func admits(id string) func(*catalog.Catalog) bool {
	return func(c *catalog.Catalog) bool {
		found, ok := c.Credential(id)
		return ok && !found.License.Revoked
	}
}

func TestFollowsADirectory(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("a", "one") + "---\n" + license("b", "two"), "b.txt": license("c", "three")})
	if c := f.Store().Current(); !admits("one")(c) || !admits("two")(c) || admits("three")(c) {
		t.Fatalf("at first:\n%s", f.log)
	}
	f.write(t, "c.yaml", license("c", "three"))
	f.until(admits("three"))
	f.write(t, "a.yml", license("a", "one"))
	f.until(func(c *catalog.Catalog) bool { return !admits("two")(c) && admits("one")(c) })
	if err := os.Remove(filepath.Join(f.dir, "c.yaml")); err != nil {
		t.Fatal(err)
	}
	f.until(func(c *catalog.Catalog) bool { return !admits("three")(c) && admits("one")(c) })
}
