// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/store"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// following is a directory that is followed.
type following struct {
	*store.Store
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
	f := &following{dir: t.TempDir()}
	for name, content := range files {
		f.write(t, name, content)
	}
	return followDir(t, f.dir)
}

func followDir(t *testing.T, dir string) *following {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	f := &following{dir: dir, log: &lines{}, catalogs: make(chan *catalog.Catalog, 16)}
	ctx, cancel := context.WithCancel(t.Context())
	followed, err := store.Follow(ctx, store.Config{Dir: f.dir, Log: slog.New(slog.NewTextHandler(f.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := followed.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	f.Store = followed
	followed.Catalog().Subscribe(func(c *catalog.Catalog) { f.catalogs <- c })
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
	for c := f.Catalog().Current(); !wanted(c); c = <-f.catalogs {
	}
}

func license(name, id string, more ...string) string {
	return "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: " + name + "}\nspec:\n  appSlug: app\n" +
		"  customerName: Customer\n  credentials: [{name: id, sha256: " + v1alpha1.Hash(id) + "}]\n" + strings.Join(more, "\n") + "\n"
}

func admits(id string) func(*catalog.Catalog) bool {
	return func(c *catalog.Catalog) bool {
		found, ok := c.Credential(id)
		return ok && !found.License.Revoked
	}
}

func TestFollowsADirectory(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("a", "one") + "---\n" + license("b", "two"), "b.txt": license("c", "three")})
	if c := f.Catalog().Current(); !admits("one")(c) || !admits("two")(c) || admits("three")(c) {
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

// revoked is what a catalog says of a license id.
func revoked(id string) func(*catalog.Catalog) bool {
	return func(c *catalog.Catalog) bool {
		found, ok := c.Credential(id)
		return ok && found.License.Revoked
	}
}

func all(wanted ...func(*catalog.Catalog) bool) func(*catalog.Catalog) bool {
	return func(c *catalog.Catalog) bool {
		return !slices.ContainsFunc(wanted, func(each func(*catalog.Catalog) bool) bool { return !each(c) })
	}
}

// What is not valid changes nothing, and the rest of the same file is in force.
func TestAnInvalidObjectChangesNothing(t *testing.T) {
	for name, edit := range map[string]struct{ before, after, said string }{
		"unknown key": {"appSlug", "app_slug", `a.yml: line 5: spec.app_slug: unknown key: did you mean appSlug?`},
		"rule":        {"appSlug: app", "appSlug: App", "a.yml: line 5: spec.appSlug: is not a slug"},
		"syntax":      {"spec:", "spec: [", "is not valid YAML"},
		"name":        {"name: a", "name: A_", "a.yml: line 3: metadata.name: is not the name of an object"},
		"kind":        {"kind: License", "kind: Licence", "a.yml: line 2: kind: is neither License nor ExternalRegistry"},
	} {
		t.Run(name, func(t *testing.T) {
			rest := "---\n" + license("b", "two")
			f := follow(t, map[string]string{"a.yml": license("a", "one") + rest})
			f.write(t, "a.yml", strings.Replace(license("a", "one", "  customerEmail: other@example.com"), edit.before, edit.after, 1)+rest+"---\n"+license("c", "three"))
			f.until(admits("three"))
			if c := f.Catalog().Current(); !admits("one")(c) || !admits("two")(c) {
				t.Errorf("one or the other is not in force:\n%s", f.log)
			}
			if n := strings.Count(f.log.String(), edit.said); n != 1 {
				t.Errorf("%q is said %d times:\n%s", edit.said, n, f.log)
			}
			f.write(t, "a.yml", license("c", "three"))
			f.until(func(c *catalog.Catalog) bool { return !admits("one")(c) && !admits("two")(c) })
		})
	}
}

// Whoever revokes a license means it, whatever else the same edit got wrong.
func TestARevocationCountsInSpiteOfAMistake(t *testing.T) {
	for name, mistake := range map[string]string{"key": "  expires: 2027-01-01", "value": "  expiresAt: tomorrow", "contradiction": ""} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, map[string]string{"a.yml": license("a", "one"), "b.yml": license("b", "two")})
			id := "two"
			if mistake == "" {
				id = "one" // which is that of a
			}
			f.write(t, "b.yml", license("b", id, "  revoked: true", mistake))
			f.until(all(revoked("two"), admits("one")))
			f.write(t, "b.yml", license("b", "two"))
			f.until(admits("two"))
		})
	}
}

// One that says it in the words of YAML 1.1, or in quotes, means it as well.
func TestARevocationCountsHoweverItIsSpelt(t *testing.T) {
	for _, word := range []string{"yes", "on", "y", `"true"`, `"yes"`, "false\n  revoked: true"} {
		t.Run(word, func(t *testing.T) {
			f := follow(t, map[string]string{"a.yml": license("a", "one")})
			f.write(t, "a.yml", license("a", "one", "  revoked: "+word))
			f.until(revoked("one"))
		})
	}
}

func TestAnObjectThatWasNeverValidIsNotThere(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("a", "one", "  expiresAt: tomorrow"), "b.yml": license("b", "two", "  expiresAt: tomorrow", "  revoked: true")})
	for _, id := range []string{"one", "two"} {
		if _, ok := f.Catalog().Current().Credential(id); ok {
			t.Errorf("%s is known", id)
		}
	}
	if !strings.Contains(f.log.String(), `consequence="nothing of it is in force"`) {
		t.Error(f.log)
	}
}

// What the log says of a document of which nobody knows which object it is depends on whether it was ever
// another.
func TestWhatIsSaidOfADocumentThatCannotBeTold(t *testing.T) {
	const left, kept = `consequence="it is left out"`, `consequence="what it said before stays in force"`
	f := follow(t, map[string]string{"a.yml": "kind: [\n", "b.yml": license("b", "one") + "---\nkind: [\n", "c.yml": license("c", "two")})
	if log := f.log.String(); strings.Count(log, left) != 2 || strings.Contains(log, kept) {
		t.Error(log)
	}
	f.write(t, "c.yml", strings.Replace(license("c", "two"), "spec:", "spec: [", 1)+"---\n"+license("d", "three"))
	f.until(all(admits("two"), admits("three")))
	if log := f.log.String(); strings.Count(log, left) != 2 || strings.Count(log, kept) != 1 {
		t.Error(log)
	}
}

// A document that was wrong before and stays so does not keep another from being removed.
func TestARemovalCountsBesideAnOldMistake(t *testing.T) {
	const other = "---\nkind: Secret\n"
	f := follow(t, map[string]string{"a.yml": license("a", "one") + other, "b.yml": license("b", "two")})
	f.write(t, "a.yml", other)
	f.until(func(c *catalog.Catalog) bool { return !admits("one")(c) })
}

func TestAFileThatCannotBeReadChangesNothing(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("a", "one")})
	f.write(t, "a.yml", strings.Repeat("# a comment\n", 1<<17))
	f.write(t, "b.yml", license("b", "two"))
	f.until(admits("two"))
	if !admits("one")(f.Catalog().Current()) || !strings.Contains(f.log.String(), "it is larger than 1 MiB") {
		t.Error(f.log)
	}
}

func TestFollowsAMountedConfigMap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		t.Helper()
		must(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name, "a.yml"), []byte(content), 0o600))
		must(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..1", license("a", "one"))
	must(t, os.Symlink("..data/a.yml", filepath.Join(dir, "a.yml")))
	f := followDir(t, dir)
	if !admits("one")(f.Catalog().Current()) {
		t.Fatal(f.log)
	}
	version("..2", license("a", "two"))
	must(t, os.RemoveAll(filepath.Join(dir, "..1")))
	f.until(admits("two"))
}

func TestRevokedSince(t *testing.T) {
	f := follow(t, nil)
	path := filepath.Join(f.dir, "a.yml")
	written := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	must(t, os.WriteFile(path+".new", []byte(license("a", "one", "  revoked: true")), 0o600))
	must(t, os.Chtimes(path+".new", written, written))
	must(t, os.Rename(path+".new", path))
	since := func(want time.Time) func(*catalog.Catalog) bool {
		return func(c *catalog.Catalog) bool {
			found, ok := c.Credential("one")
			return ok && found.License.RevokedAt.Equal(want)
		}
	}
	f.until(since(written))
	f.write(t, "a.yml", license("a", "one", "  revoked: true", "  customerEmail: other@example.com")+"---\n"+license("b", "two"))
	f.until(all(since(written), admits("two")))
	f.write(t, "a.yml", strings.Replace(license("a", "one", "  revoked: true"), "{name: a}",
		"{name: a, annotations: {imageproxy.apps.tanzu.vmware.com/revoked-at: 2026-01-01T00:00:00Z}}", 1))
	f.until(since(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
}

func TestWritesNothingIntoADirectory(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("a", "one")})
	f.Pulled("a", true, time.Now())
	f.write(t, "b.yml", license("b", "two"))
	f.until(admits("two"))
	entries, err := os.ReadDir(f.dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, error %v", entries, err)
	}
	text, err := os.ReadFile(filepath.Join(f.dir, "a.yml"))
	if err != nil || string(text) != license("a", "one") {
		t.Errorf("a.yml holds %q, error %v", text, err)
	}
}

func TestADirectoryThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	_, err := store.Follow(t.Context(), store.Config{Dir: path})
	want := "read objects: open " + path + ": no such file or directory: make the directory, or name another one"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// observer keeps the last numbers of each kind.
type observer struct {
	mu      sync.Mutex
	numbers map[string][2]int
}

func (o *observer) Objects(kind string, valid, invalid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.numbers[kind] = [2]int{valid, invalid}
}

func TestCountsObjects(t *testing.T) {
	dir := t.TempDir()
	text := license("a", "one") + "---\n" + license("b", "two", "  x: y") + "---\nkind: Secret\n---\n" + externalRegistry("quay", "quay.io")
	must(t, os.WriteFile(filepath.Join(dir, "a.yml"), []byte(text), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	counted := &observer{numbers: map[string][2]int{}}
	followed, err := store.Follow(ctx, store.Config{Dir: dir, Observer: counted})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := followed.Wait(); err != nil {
		t.Error(err)
	}
	want := map[string][2]int{"License": {1, 1}, "ExternalRegistry": {1, 0}, "unknown": {0, 1}}
	if diff := cmp.Diff(want, counted.numbers); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}
