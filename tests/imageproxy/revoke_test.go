// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// pullers is how many clients pull at once.
const pullers = 50

// observed is what the clients of one server saw of a revocation.
type observed struct {
	mu sync.Mutex
	// first is when the first refusal had come, and latest when the last request was sent that was still
	// served.
	first, latest time.Time
	served        map[string]int
	refused       int
}

func (o *observed) see(sent time.Time, kind string, status int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch status {
	case http.StatusOK:
		o.served[kind]++
		if sent.After(o.latest) {
			o.latest = sent
		}
		return nil
	case http.StatusForbidden:
		if o.first.IsZero() {
			o.first = time.Now()
		}
		o.refused++
		return nil
	default:
		return fmt.Errorf("%s was answered %d", kind, status)
	}
}

// TestRevocationUnderLoad: an edited license is in force on every replica, for manifests and blobs, for those who
// show a license and those who have a token, and for all of them at once. It prints in what time. How long the
// server takes for it where nobody else wants the processor, the tests of its own clock say (O5).
func TestRevocationUnderLoad(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme, other := v.license("acme"), v.license("other")
	v.pushed("private", "v1")
	layer, err := random.Layer(64<<10, types.OCILayer)
	if err != nil {
		t.Fatal(err)
	}
	private := v.registries["private"]
	if err := remote.WriteLayer(private.Reference(t, "v1").Context(), layer, private.Options(t)...); err != nil {
		t.Fatal(err)
	}
	key := harness.KeyFile(t, harness.NewKey())
	servers := []*harness.Server{v.serve(key), v.serve(key)}
	// A token that one replica sold is taken by the other.
	token := showing("Bearer " + buy(t, servers[0], acme.id))
	paths := map[string]string{"manifest": "/manifests/v1", "blob": "/blobs/" + harness.Digest(t, layer)}

	seen := []*observed{{served: map[string]int{}}, {served: map[string]int{}}}
	warm := make(chan struct{}, pullers)
	failed := make(chan error, pullers)
	for i := range pullers {
		go func() {
			header := acme.auth()
			if i%4 < 2 {
				header = token
			}
			failed <- pullUntilRefused(t, servers[i%2], paths, header, seen[i%2], warm)
		}()
	}
	for range pullers {
		select {
		case <-warm:
		case err := <-failed:
			t.Fatalf("a client ended before the license did: %v", err)
		}
	}
	acme.revoke()
	revoked := time.Now()
	for range pullers {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	for i, o := range seen {
		t.Logf("replica %d: %v served to %d clients, first refusal after %s",
			i, o.served, pullers/2, o.first.Sub(revoked).Round(time.Millisecond))
		if o.latest.After(o.first) {
			t.Errorf("replica %d served a request that was sent %s after it had refused one", i, o.latest.Sub(o.first))
		}
		if o.served["manifest"] == 0 || o.served["blob"] == 0 || o.refused < pullers {
			t.Errorf("replica %d: %v served, %d refused", i, o.served, o.refused)
		}
		get(t, servers[i], "private", "/manifests/v1", other.auth()).Want(t, http.StatusOK)
		get(t, servers[i], "private", "/manifests/v1", acme.auth()).WantError(t, http.StatusForbidden, "DENIED")
	}
}

// pullUntilRefused asks for manifests and blobs in turn until both have been refused.
func pullUntilRefused(t *testing.T, server *harness.Server, paths map[string]string, header http.Header, seen *observed, warm chan<- struct{}) error {
	ctx, cancel := context.WithTimeoutCause(t.Context(), harness.Patience, errors.New("the license was never refused"))
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	refused := map[string]bool{}
	for round := 0; len(refused) < len(paths); round++ {
		for kind, path := range paths {
			sent := time.Now()
			answer, err := harness.Try(ctx, client, harness.Request{
				Method: http.MethodGet, URL: "http://" + server.Images + "/v2/" + name("private") + path, Header: header,
			})
			if err != nil {
				return errors.Join(context.Cause(ctx), err)
			}
			if err := seen.see(sent, kind, answer.Status); err != nil {
				return err
			}
			if answer.Status == http.StatusForbidden {
				refused[kind] = true
			}
		}
		if round == 1 {
			warm <- struct{}{}
		}
	}
	return nil
}

// buy gets a token for the private repository.
func buy(t *testing.T, server *harness.Server, id string) string {
	t.Helper()
	answer := harness.Call(t, harness.Request{
		Method: http.MethodGet, URL: "http://" + server.Images + "/v2/token?scope=" + url.QueryEscape("repository:"+name("private")+":pull"), Header: basic(id),
	}).Want(t, http.StatusOK)
	var sold struct{ Token string }
	if err := json.Unmarshal(answer.Body, &sold); err != nil || sold.Token == "" {
		t.Fatalf("the token is %q, %v", sold.Token, err)
	}
	return sold.Token
}

// TestDownloadsInFlight finish when their license is revoked, or end where the operator wants that.
func TestDownloadsInFlight(t *testing.T) {
	t.Parallel()
	for _, terminate := range []bool{false, true} {
		t.Run(fmt.Sprintf("terminate %v", terminate), func(t *testing.T) {
			t.Parallel()
			v := newVendor(t)
			acme := v.license("acme")
			const size = 32 << 20 // more than the connections on the way hold
			layer := static.NewLayer(bytes.Repeat([]byte("x"), size), types.OCIUncompressedLayer)
			private := v.registries["private"]
			if err := remote.WriteLayer(private.Reference(t, "v1").Context(), layer, private.Options(t)...); err != nil {
				t.Fatal(err)
			}
			v.pushed("private", "v1")
			server := v.serve(fmt.Sprintf("--terminate-on-revoke=%v", terminate))
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Images+"/v2/"+name("private")+"/blobs/"+harness.Digest(t, layer), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = acme.auth()
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if _, err := io.CopyN(io.Discard, response.Body, 1<<20); err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("the download did not begin: %s, %v", response.Status, err)
			}
			acme.remove()
			untilStatus(t, server, "/manifests/v1", acme.auth(), http.StatusUnauthorized)
			rest, err := io.Copy(io.Discard, response.Body)
			if ended := err != nil; ended != terminate {
				t.Errorf("after %d bytes more of %d the download ended with %v", rest, size, err)
			}
		})
	}
}
