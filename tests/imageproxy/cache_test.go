// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// cacheIn is the flag of a cache in a directory.
func cacheIn(dir, size string) string { return "--image-proxy-cache=file://" + dir + "?size=" + size }

// filesBelow are the files of a directory, beside the lock.
func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && filepath.Base(path) != "lock" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// keptIn is where a directory has a blob.
func keptIn(dir, digest string) string {
	encoded := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(dir, "content", "sha256", encoded[:2], encoded)
}

func awaitKept(t *testing.T, dir, digest string) {
	t.Helper()
	harness.Eventually(t, "the blob is kept", func(context.Context) error {
		_, err := os.Stat(keptIn(dir, digest))
		return err
	})
}

// slow is a registry with blobs, which sends half of each, and the rest when it is told to.
type slow struct {
	*harness.Double
	rest chan struct{} // closed: at once
}

func newSlow(t *testing.T, blobs ...harness.Blob) *slow {
	t.Helper()
	s := &slow{rest: make(chan struct{})}
	content := map[string][]byte{}
	for _, blob := range blobs {
		content[blob.Digest] = blob.Content
	}
	s.Double = harness.NewDouble(t, map[string]http.HandlerFunc{
		"/v2/{$}": harness.Pong,
		"/v2/" + harness.Repository + "/blobs/{digest}": func(w http.ResponseWriter, r *http.Request) {
			blob, ok := content[r.PathValue("digest")]
			if !ok {
				http.NotFound(w, r)
				return
			}
			if r.Method == http.MethodHead || r.Header.Get("Range") != "" {
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
				return
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(blob)))
			_, _ = w.Write(blob[:len(blob)/2])
			_ = http.NewResponseController(w).Flush()
			select {
			case <-s.rest:
				_, _ = w.Write(blob[len(blob)/2:])
			case <-r.Context().Done():
			}
		},
	})
	return s
}

// begin opens a blob and reads some of it.
func begin(t *testing.T, server *harness.Server, digest string, header http.Header, n int64) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Images+"/v2/"+name("slow")+"/blobs/"+digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if _, err := io.CopyN(io.Discard, response.Body, n); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the download did not begin: %s, %v", response.Status, err)
	}
	return response
}

// look returns how it is answered whether a blob is there.
func look(t *testing.T, server *harness.Server, digest string, header http.Header) int {
	t.Helper()
	return harness.Call(t, harness.Request{
		Method: http.MethodHead, URL: "http://" + server.Images + "/v2/" + name("slow") + "/blobs/" + digest, Header: header,
	}).Status
}

// TestAKillLeavesNothingHalfKept: during a download nothing is kept, nothing stays behind however often that
// happens, and what was kept before is used afterwards.
func TestAKillLeavesNothingHalfKept(t *testing.T) {
	t.Parallel()
	blob := harness.NewBlob(4 << 20)
	registry := newSlow(t, blob)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme, dir := v.license("acme"), t.TempDir()
	path := "/blobs/" + blob.Digest
	for i := range 4 {
		server := v.serve(cacheIn(dir, "1GiB"))
		begin(t, server, blob.Digest, acme.auth(), 1<<20)
		// A process that was killed while it wrote leaves such files.
		for _, left := range []string{"arriving-1.tmp", "content/sha256/ab/abcd-1.tmp"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, left)), 0o700); err != nil {
				t.Fatal(err)
			}
			harness.WriteFile(t, filepath.Join(dir, left), []byte("half"))
		}
		server.Kill(t)
		for _, file := range filesBelow(t, dir) {
			if strings.Contains(file, "content") && !strings.HasSuffix(file, ".tmp") {
				t.Errorf("kept after kill %d: %s", i, file)
			}
		}
	}
	close(registry.rest)
	server := v.serve(cacheIn(dir, "1GiB"))
	for _, file := range filesBelow(t, dir) {
		if strings.HasSuffix(file, ".tmp") {
			t.Errorf("left behind: %s", file)
		}
	}
	if got := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Errorf("%d bytes, which are others", len(got.Body))
	}
	awaitKept(t, dir, blob.Digest)
	server.Kill(t)
	server = v.serve(cacheIn(dir, "1GiB"))
	before := len(registry.Requests())
	if got := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Errorf("after the kill %d bytes, which are others", len(got.Body))
	}
	for _, seen := range registry.Requests()[before:] {
		if strings.Contains(seen.Path, blob.Digest) {
			t.Errorf("the registry was asked %s %s", seen.Method, seen.Path)
		}
	}
}

// TestADiskThatIsTooSmall: pulls of what it does not hold succeed, many at once, and nothing stays open.
func TestADiskThatIsTooSmall(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("something has files open on the disk: %v", err)
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	blobs := []harness.Blob{harness.NewBlob(32 << 20)}
	for range 8 {
		blobs = append(blobs, harness.NewBlob(3<<20))
	}
	registry := newSlow(t, blobs...)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	server := v.serve(cacheIn(dir, "1GiB"), "--image-proxy-concurrent-pulls=100")
	for range 2 {
		acme.pullAll(t, server, 3, blobs...)
	}
	awaitClosed(t, server, dir)
	server.AwaitLog(t, "the cache is passed by", 1)
}

// awaitClosed waits until a server has no file below a directory open, but the lock.
func awaitClosed(t *testing.T, server *harness.Server, dir string) {
	t.Helper()
	harness.Eventually(t, "all files are closed", func(context.Context) error {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.PID()))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", server.PID(), entry.Name()))
			if err == nil && strings.HasPrefix(target, dir) && filepath.Base(target) != "lock" {
				return fmt.Errorf("%s is open", target)
			}
		}
		return nil
	})
}

// TestARevocationEndsWhatTheCacheSends, when the operator wants that, and never what others get: while it arrives,
// and once it is kept.
func TestARevocationEndsWhatTheCacheSends(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %v", kept), func(t *testing.T) {
			t.Parallel()
			blob := harness.NewBlob(48 << 20) // more than the connections on the way hold
			registry := newSlow(t, blob)
			if kept {
				close(registry.rest)
			}
			v := newVendor(t)
			v.opens("slow", &harness.Registry{Host: registry.Host})
			acme, other, dir := v.license("acme"), v.license("other"), t.TempDir()
			server := v.serve(cacheIn(dir, "1GiB"), "--terminate-on-revoke")
			if kept {
				get(t, server, "slow", "/blobs/"+blob.Digest, acme.auth()).Want(t, http.StatusOK)
				awaitKept(t, dir, blob.Digest)
			}
			revoked := begin(t, server, blob.Digest, acme.auth(), 1<<20)
			goesOn := begin(t, server, blob.Digest, other.auth(), 1<<20)
			acme.revoke()
			harness.Eventually(t, "the license is over", func(context.Context) error {
				if got := look(t, server, blob.Digest, acme.auth()); got != http.StatusForbidden {
					return fmt.Errorf("answered %d", got)
				}
				return nil
			})
			if n, err := io.Copy(io.Discard, revoked.Body); err == nil {
				t.Errorf("the revoked license got %d bytes more, which was all", n)
			}
			if !kept {
				close(registry.rest)
			}
			if n, err := io.Copy(io.Discard, goesOn.Body); err != nil || n != 47<<20 {
				t.Errorf("the other got %d bytes more, %v", n, err)
			}
			// The application may no longer use the registry: what is kept of it is not served, either, nor what is being
			// sent to its end.
			underWay := begin(t, server, blob.Digest, other.auth(), 1<<20)
			v.opens("slow", &harness.Registry{Host: registry.Host}, "another-app")
			harness.Eventually(t, "the registry is closed to the application", func(context.Context) error {
				if got := look(t, server, blob.Digest, other.auth()); got != http.StatusForbidden {
					return fmt.Errorf("answered %d", got)
				}
				return nil
			})
			if n, err := io.Copy(io.Discard, underWay.Body); err == nil {
				t.Errorf("another application's got %d bytes more, which was all", n)
			}
			awaitClosed(t, server, dir)
		})
	}
}

// TestClientsPullWhileTheRegistryIsDown: each pulls cold, warm, and after the registry has ended.
func TestClientsPullWhileTheRegistryIsDown(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	registry := harness.Distribution{Program: harness.Tool(t, "registry")}.Start(t)
	v.registries["own"] = registry
	v.opens("own", registry)
	acme, dir := v.license("acme"), t.TempDir()
	server := v.serve(cacheIn(dir, "1GiB"))
	images := map[string]string{}
	for _, client := range clients() {
		image := harness.Image(t)
		tag := strings.ReplaceAll(strings.ReplaceAll(client.name, " ", "-"), "'", "")
		if err := remote.Write(registry.Reference(t, tag), image, registry.Options(t)...); err != nil {
			t.Fatal(err)
		}
		images[client.name] = harness.Digest(t, image)
	}
	pull := func(t *testing.T, state string) {
		for _, client := range clients() {
			t.Run(client.name+" "+state, func(t *testing.T) {
				tag := strings.ReplaceAll(strings.ReplaceAll(client.name, " ", "-"), "'", "")
				got, err := client.pull(t, server.Images+"/"+name("own")+":"+tag, acme.id)
				if err != nil || got != images[client.name] {
					t.Errorf("pulled %s, want %s: %v", got, images[client.name], err)
				}
			})
		}
	}
	pull(t, "cold")
	pull(t, "warm")
	server.AwaitLog(t, `"cache":"hit"`, 1)
	registry.Process.Kill(t)
	pull(t, "while the registry is down")
	server.AwaitLog(t, "a registry cannot be asked, and customers get what it said last", 1)
	awaitClosed(t, server, dir)
}
