// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// warm pulls a blob, and waits until it is kept.
func (w *world) warm(dir, digest string, c *customer) {
	w.t.Helper()
	w.Do("GET", image+"/blobs/"+digest, c.basic()).Is(200)
	eventually(w.t, func() bool { _, err := os.Stat(contentFile(dir, digest)); return err == nil })
}

// TestALookTakesNothingAway: a manifest of which only the head was asked for is kept when it is read, and stays
// kept when its head is asked for later.
func TestALookTakesNothingAway(t *testing.T) {
	dir := t.TempDir()
	url := directory(dir, "size=1GiB")
	w := newWorld(t, config{cache: url})
	acme := w.licensed("app")
	path := image + "/manifests/" + w.digest
	for range 3 {
		w.Do("HEAD", path, acme.basic()).Is(200).Has("Content-Length", "19")
		w.Do("GET", path, acme.basic()).Is(200).Says(`{"schemaVersion":2}`)
	}
	w.network.Count(1, registrytest.Sent("GET", "/v2/team/api/manifests/"+w.digest))

	age(t, dir, 25*time.Hour)
	later := newWorld(t, config{cache: url})
	later.admit(acme)
	later.Do("HEAD", path, acme.basic()).Is(200)
	later.network.Count(1, registrytest.Sent("HEAD", "/v2/team/api/manifests/"+w.digest))
	later.quay.When("", "/v2/").BreakOff()
	later.Do("GET", path, acme.basic()).Is(200).Says(`{"schemaVersion":2}`).Lacks("Warning")
}

// TestAnAnswerOfTheFutureIsWrittenAnew: a clock that was wrong once is not felt for ever.
func TestAnAnswerOfTheFutureIsWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	url := directory(dir, "size=1GiB")
	w := newWorld(t, config{cache: url})
	acme := w.licensed("app")
	paths := []string{"/manifests/" + w.digest, "/manifests/v1", "/blobs/" + w.blob}
	w.warm(dir, w.blob, acme)
	for _, path := range paths {
		w.Do("GET", image+path, acme.basic()).Is(200)
	}
	age(t, dir, -365*24*time.Hour)
	for i := range 2 {
		again := newWorld(t, config{cache: url})
		again.admit(acme)
		for _, path := range paths {
			again.Do("GET", image+path, acme.basic()).Is(200)
		}
		asked := len(again.network.Requests(registrytest.Mentions("sha256:")))
		if (asked > 0) != (i == 0) {
			t.Errorf("time %d: the registry was asked %d times about digests", i, asked)
		}
	}
}

// TestALimitedRegistryIsAskedOnce: one request finds out that a tag cannot be asked for, and not two.
func TestALimitedRegistryIsAskedOnce(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200)
	w.quay.When("", "/v2/team").Answer(429, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`)
	w.network.Forget()
	const storm = 50
	var clients sync.WaitGroup
	for range storm {
		clients.Go(func() {
			w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Says(`{"schemaVersion":2}`)
			w.Do("GET", image+"/manifests/"+w.digest, acme.basic()).Is(200)
		})
	}
	clients.Wait()
	asked := w.network.Requests(registrytest.Mentions("/v2/team"))
	for _, request := range asked {
		if request.Method != http.MethodHead {
			t.Errorf("the registry was asked %s", request)
		}
	}
	if len(asked) == 0 || len(asked) > storm {
		t.Errorf("%d clients asked the registry %d times", storm, len(asked))
	}
	w.Do("GET", image+"/manifests/other", acme.basic()).Fails(429, oci.TooManyRequests)
}

// TestARegistryThatStalls: those who wait end, with what is known, or with an error.
func TestARegistryThatStalls(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, config{cache: directory(dir, "size=1GiB"), silence: 100 * time.Millisecond})
	acme := w.licensed("app")
	w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200)
	w.warm(dir, w.blob, acme)
	content := someBytes(300_000)
	cold := w.quay.PutBlob("team/api", content)
	w.quay.When("", "/v2/team").Do(func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
		if strings.HasSuffix(r.URL.Path, cold) && r.Header.Get("Range") == "" {
			out.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = out.Write(content[:100_000])
			_ = http.NewResponseController(out).Flush()
		}
		<-r.Context().Done()
	})
	w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200).Says(`{"schemaVersion":2}`)
	w.Do("GET", image+"/blobs/"+w.blob, acme.basic()).Is(200).Says("the layer")
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			resp := w.open(t.Context(), cold, acme)
			got, err := io.ReadAll(resp.Body)
			if err == nil || !bytes.Equal(got, content[:len(got)]) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	clients.Wait()
	if answer := w.Do("GET", image+"/manifests/v2", acme.basic()); answer.Status < 500 {
		t.Errorf("a tag that nobody pulled is answered %d", answer.Status)
	}
}

// TestWhatBreaksOffBehindTheLastByteIsWhole, where the registry did not say how long it is.
func TestWhatBreaksOffBehindTheLastByteIsWhole(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	content := someBytes(300_000)
	digest := w.quay.PutBlob("team/api", content)
	w.quay.When("GET", digest).Do(func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
		if r.Header.Get("Range") != "" {
			out.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		_, _ = out.Write(content)
		_ = http.NewResponseController(out).Flush()
		panic(http.ErrAbortHandler)
	})
	if got := w.Do("GET", image+"/blobs/"+digest, acme.basic()).Is(200).Body; !bytes.Equal(got, content) {
		t.Errorf("%d bytes", len(got))
	}
}

// TestAnotherRangeThanAskedFor: what comes before the range is passed over, and what does not join is no content.
func TestAnotherRangeThanAskedFor(t *testing.T) {
	content := someBytes(300_000)
	for name, test := range map[string]struct {
		from  func(asked int) int
		whole bool
	}{
		"all of it": {func(int) int { return 0 }, true},
		"earlier":   {func(asked int) int { return asked - 1000 }, true},
		"later":     {func(asked int) int { return asked + 1 }, false},
		"no range":  {func(int) int { return -1 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := newWorld(t, config{cache: directory(dir, "size=1GiB")})
			acme := w.licensed("app")
			digest := w.quay.PutBlob("team/api", content)
			w.quay.When("GET", digest).Do(func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
				var asked int
				if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &asked); err != nil {
					out.Header().Set("Content-Length", strconv.Itoa(len(content)))
					_, _ = out.Write(content[:123_456])
					_ = http.NewResponseController(out).Flush()
					panic(http.ErrAbortHandler)
				}
				from := test.from(asked)
				if from >= 0 {
					out.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
				}
				out.WriteHeader(http.StatusPartialContent)
				_, _ = out.Write(content[max(0, from):])
			})
			resp := w.open(t.Context(), digest, acme)
			got, err := io.ReadAll(resp.Body)
			if whole := err == nil && bytes.Equal(got, content); whole != test.whole {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if !test.whole && len(objects(t, dir, "content")) > 0 {
				t.Error("something is kept")
			}
		})
	}
}

// TestBlobsWithoutALength are shared and kept as others; whoever leaves, or gets a wrong one, leaves no file open.
func TestBlobsWithoutALength(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, config{cache: directory(dir, "size=1GiB")})
	acme := w.licensed("app")
	content := someBytes(500_000)
	good, bad := registrytest.Digest(content), registrytest.Digest([]byte("another"))
	for _, digest := range []string{good, bad} {
		w.quay.When("GET", digest).Do(func(out http.ResponseWriter, _ *http.Request, _ http.Handler) {
			for rest := content; len(rest) > 0; rest = rest[min(1000, len(rest)):] {
				_, _ = out.Write(rest[:min(1000, len(rest))])
				_ = http.NewResponseController(out).Flush()
			}
		})
	}
	w.quay.When("HEAD", "/blobs/").Answer(200, "")
	before := openFiles(t)
	for i := range 10 {
		ctx, leave := context.WithCancel(t.Context())
		leaving := w.open(ctx, bad, acme)
		leave()
		_ = leaving.Body.Close()
		if got, err := io.ReadAll(w.open(t.Context(), bad, acme).Body); err == nil {
			t.Errorf("%d bytes of a wrong blob look whole", len(got))
		}
		if got := w.Do("GET", image+"/blobs/"+good, acme.basic()).Is(200).Body; !bytes.Equal(got, content) {
			t.Errorf("time %d: %d bytes", i, len(got))
		}
	}
	w.warm(dir, good, acme)
	w.Client.CloseIdleConnections()
	eventually(t, func() bool { return openFiles(t) <= before })
	w.network.Forget()
	w.Do("GET", image+"/blobs/"+good, acme.basic(), proxytest.Header("Range", "bytes=-5")).Is(206).Says(string(content[499_995:]))
	if err := os.Truncate(contentFile(dir, good), 0); err != nil {
		t.Fatal(err)
	}
	if got := w.Do("GET", image+"/blobs/"+good, acme.basic()).Is(200).Body; !bytes.Equal(got, content) {
		t.Errorf("of an empty file: %d bytes", len(got))
	}
}

// openFiles is how many regular files this process has open.
func openFiles(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.Contains(target, t.Name()) {
			n++
		}
	}
	return n
}
