// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// asks asks for something in the background, and sends the status of the answer; 0: there was none.
func (w *world) asks(c *customer, method, path string) <-chan int {
	answered := make(chan int, 1)
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+image+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c.basic()(r)
	go func() {
		resp, err := w.Client.Do(r)
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	return answered
}

// waits waits until so many requests of licenses wait for a place.
func (w *world) waits(n int) {
	w.t.Helper()
	eventually(w.t, func() bool { return w.side.Waiting() == n })
}

// TestOneCustomerDoesNotSlowAnother: who has as many downloads under way as the license allows waits for them;
// others do not, nor what is no download.
func TestOneCustomerDoesNotSlowAnother(t *testing.T) {
	w := newWorld(t, config{pulls: 2})
	a, b := w.licensed("app"), w.licensed("app")
	b.license.Name = "bravo"
	w.admit(a, b)
	first, second := w.begin(a), w.begin(a)
	var line []<-chan int
	for range 2 {
		line = append(line, w.asks(a, "GET", "/blobs/"+w.blob))
	}
	w.waits(2)

	for range 5 {
		w.Do("GET", image+"/blobs/"+w.blob, b.basic()).Is(200)
		for _, path := range w.kinds() {
			w.Do("GET", image+path, b.basic()).Is(200)
		}
	}
	for _, path := range []string{"/manifests/v1", "/tags/list", "/referrers/" + w.digest} {
		w.Do("GET", image+path, a.basic()).Is(200)
	}
	w.Do("HEAD", image+"/blobs/"+w.blob, a.basic()).Is(200)
	w.Do("GET", "/v2/token", a.basic()).Is(200)
	w.Do("GET", "/v2/", a.basic()).Is(200)

	answer := w.Do("GET", image+"/blobs/"+w.blob, a.basic()).Fails(429, oci.TooManyRequests).Says("as many pulls under way")
	if answer.Header.Get("Retry-After") != "10" {
		t.Errorf("to come again in %q", answer.Header.Get("Retry-After"))
	}
	r := w.pulls.last()
	if r.Reason != imageproxy.TooManyPulls || r.License != a.license.Name || r.Customer != "Acme" || r.Err == nil {
		t.Errorf("recorded %+v", r)
	}
	close(first.goOn)
	close(second.goOn)
	for i, each := range line {
		if status := <-each; status != http.StatusOK {
			t.Errorf("request %d that waited: %d", i, status)
		}
	}
	if strings.Contains(w.log.String(), a.id) || !strings.Contains(w.log.String(), `"waited":`) {
		t.Error("the log has a license id, or does not say who waited")
	}
}

// TestManifestsAreBoundedToo, apart from downloads: a registry that is silent for one customer's images is not
// made busy by that customer alone.
func TestManifestsAreBoundedToo(t *testing.T) {
	w := newWorld(t, config{pulls: 2})
	a, b := w.licensed("app"), w.licensed("app")
	b.license.Name = "bravo"
	w.admit(a, b)
	goOn, arrived := make(chan struct{}), make(chan struct{}, 2)
	w.quay.When("GET", "/manifests/v2").Times(2).Do(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
		arrived <- struct{}{}
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		next.ServeHTTP(out, r)
	})
	first, second := w.asks(a, "GET", "/manifests/v2"), w.asks(a, "GET", "/manifests/v2")
	<-arrived
	<-arrived
	third := w.asks(a, "HEAD", "/manifests/v1")
	w.waits(1)
	w.Do("GET", image+"/blobs/"+w.blob, a.basic()).Is(200)
	w.Do("GET", image+"/manifests/v1", b.basic()).Is(200)
	close(goOn)
	for _, each := range []<-chan int{first, second, third} {
		if status := <-each; status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	}
}

// TestWaitingIsDecidedAnew: what is in force when the turn comes decides.
func TestWaitingIsDecidedAnew(t *testing.T) {
	for name, test := range map[string]struct {
		change func(w *world, c *customer)
		status int
	}{
		"revoked":        {func(w *world, c *customer) { c.license.Revoked = true; w.admit(c) }, http.StatusForbidden},
		"gone":           {func(w *world, _ *customer) { w.admit() }, http.StatusUnauthorized},
		"of another app": {func(w *world, c *customer) { c.license.App = "other"; c.license.ConcurrentPulls = 2; w.admit(c) }, http.StatusForbidden},
		"registry closed": {func(w *world, c *customer) {
			c.license.ConcurrentPulls = 2
			w.registries = w.registries[:0]
			w.admit(c)
		}, http.StatusNotFound},
		"more at once": {func(w *world, c *customer) { c.license.ConcurrentPulls = 2; w.admit(c) }, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{pulls: 1})
			c := w.licensed("app")
			download := w.begin(c)
			waiting := w.asks(c, "GET", "/blobs/"+w.blob)
			w.waits(1)
			test.change(w, c)
			if status := <-waiting; status != test.status {
				t.Errorf("answered %d, want %d", status, test.status)
			}
			close(download.goOn)
			if rest, err := io.ReadAll(download.resp.Body); err != nil || len(rest) != 1<<20 {
				t.Errorf("the download under way broke off after %d bytes: %v", len(rest), err)
			}
		})
	}
}

// TestAPlaceComesBack however a download ends.
func TestAPlaceComesBack(t *testing.T) {
	w := newWorld(t, config{pulls: 1, terminate: true})
	c := w.licensed("app")
	w.begin(c).finishes()
	w.begin(c).resp.Body.Close() // the client goes away
	w.Do("GET", image+"/blobs/sha256:"+strings.Repeat("0", 64), c.basic()).Is(404)
	cut := w.begin(c)
	c.license.Revoked = true
	w.admit(c)
	cut.isCut(imageproxy.Revoked)
	c.license.Revoked = false
	w.admit(c)
	w.Do("GET", image+"/blobs/"+w.blob, c.basic()).Is(200)
	w.waits(0)
}
