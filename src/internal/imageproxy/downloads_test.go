// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// slow is a download that has begun and goes on when it is told to.
type slow struct {
	t    *testing.T
	resp *http.Response
	goOn chan struct{}
	w    *world
}

// begin begins to download a blob of which the registry gives the first half.
func (w *world) begin(c *customer) *slow {
	w.t.Helper()
	s := &slow{t: w.t, goOn: make(chan struct{}), w: w}
	half := bytes.Repeat([]byte("x"), 1<<20)
	w.quay.When("GET", "/blobs/").Times(1).Do(func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
		out.Header().Set("Content-Length", "2097152")
		_, _ = out.Write(half)
		_ = http.NewResponseController(out).Flush()
		select {
		case <-s.goOn:
			_, _ = out.Write(half)
		case <-r.Context().Done():
		}
	})
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.URL+image+"/blobs/"+w.blob, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c.basic()(r)
	if s.resp, err = w.Client.Do(r); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.resp.Body.Close() })
	if _, err := io.ReadFull(s.resp.Body, make([]byte, 1<<20)); err != nil || s.resp.StatusCode != http.StatusOK {
		w.t.Fatalf("the download did not begin: %d, %v", s.resp.StatusCode, err)
	}
	return s
}

// finishes lets it go on.
func (s *slow) finishes() {
	s.t.Helper()
	close(s.goOn)
	if rest, err := io.ReadAll(s.resp.Body); err != nil || len(rest) != 1<<20 {
		s.t.Errorf("the download broke off after %d bytes of its second half: %v", len(rest), err)
	}
	eventually(s.t, func() bool { return s.w.pulls.last().Action == imageproxy.Blob })
	if r := s.w.pulls.last(); !r.Success || r.Bytes != 2<<20 || r.Reason != "" {
		s.t.Errorf("recorded %+v", r)
	}
}

// isCut waits for its end, without letting it go on.
func (s *slow) isCut(reason imageproxy.Reason) {
	s.t.Helper()
	if rest, err := io.ReadAll(s.resp.Body); err == nil {
		s.t.Errorf("the download came to its end, with %d bytes more", len(rest))
	}
	eventually(s.t, func() bool { return s.w.pulls.last().Action == imageproxy.Blob })
	if r := s.w.pulls.last(); r.Success || r.Reason != reason || r.Err == nil || r.Customer != "Acme" || r.Bytes < 1<<20 {
		s.t.Errorf("recorded %+v", r)
	}
}

// endings are what can end a license, or what it opens.
func endings() map[string]func(w *world, c *customer) imageproxy.Reason {
	return map[string]func(w *world, c *customer) imageproxy.Reason{
		"revoked": func(w *world, c *customer) imageproxy.Reason {
			c.license.Revoked = true
			w.admit(c)
			return imageproxy.Revoked
		},
		"removed": func(w *world, _ *customer) imageproxy.Reason {
			w.admit()
			return imageproxy.UnknownLicense
		},
		"rotated": func(w *world, c *customer) imageproxy.Reason {
			another := *c
			another.id = "another"
			w.admit(&another)
			return imageproxy.UnknownLicense
		},
		"expired": func(w *world, c *customer) imageproxy.Reason {
			c.license.Expires = time.Now().Add(-time.Second)
			w.admit(c)
			return imageproxy.Expired
		},
		"closed to the application": func(w *world, c *customer) imageproxy.Reason {
			w.change(c, quay, func(r *catalog.Registry) { r.Apps = []string{"another"} })
			return imageproxy.RegistryClosed
		},
		"without its repository": func(w *world, c *customer) imageproxy.Reason {
			w.change(c, quay, func(r *catalog.Registry) { r.Repositories = catalog.NewRepositories([]string{"team/other"}) })
			return imageproxy.RepositoryClosed
		},
		"for other images": func(w *world, c *customer) imageproxy.Reason {
			c.license.Images = catalog.NewImages([]string{"team/other:v1"})
			w.admit(c)
			return imageproxy.NotLicensed
		},
		"expires by the clock": func(w *world, c *customer) imageproxy.Reason {
			c.credential.Expires = time.Now().Add(50 * time.Millisecond)
			w.admit(c)
			return imageproxy.Expired
		},
	}
}

// change puts another version of a registry in force.
func (w *world) change(c *customer, hostname string, edit func(*catalog.Registry)) {
	for i, each := range w.registries {
		if each.Hostname == hostname {
			changed := *each
			edit(&changed)
			w.registries[i] = &changed
		}
	}
	w.admit(c)
}

func TestDownloadsFinish(t *testing.T) {
	for name, end := range endings() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{})
			c := w.licensed("app")
			download := w.begin(c)
			end(w, c)
			download.finishes()
		})
	}
}

// TestDownloadsEnd with their license, where the operator wants that.
func TestDownloadsEnd(t *testing.T) {
	for name, end := range endings() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{terminate: true})
			c := w.licensed("app")
			download := w.begin(c)
			download.isCut(end(w, c))
		})
	}
}

// TestDownloadsOfOthersGoOn.
func TestDownloadsOfOthersGoOn(t *testing.T) {
	w := newWorld(t, config{terminate: true})
	c, other := w.licensed("app"), w.licensed("app")
	w.admit(c, other)
	download := w.begin(c)
	other.license.Revoked = true
	w.admit(c, other)
	download.finishes()
}
