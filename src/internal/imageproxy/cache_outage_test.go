// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// outages are the ways in which a registry cannot be asked.
func outages() map[string]func(*registrytest.Rule) {
	return map[string]func(*registrytest.Rule){
		"no answer":         (*registrytest.Rule).BreakOff,
		"500":               func(r *registrytest.Rule) { r.Answer(500, "") },
		"503":               func(r *registrytest.Rule) { r.Answer(503, "busy") },
		"too many requests": func(r *registrytest.Rule) { r.Answer(429, "", "Retry-After", "1") },
		"a web page":        func(r *registrytest.Rule) { r.Answer(200, "<html>", "Content-Type", "text/html") },
	}
}

// TestAnOutage: what was pulled before can be pulled, with a warning, and nothing else.
func TestAnOutage(t *testing.T) {
	for name, outage := range outages() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config{cache: directory(t.TempDir(), "size=1GiB")})
			acme := w.licensed("app")
			asked := []string{"/manifests/v1", "/manifests/" + w.digest, "/blobs/" + w.blob, "/tags/list", "/referrers/" + w.digest}
			before := map[string]string{}
			for _, path := range asked {
				before[path] = string(w.Do("GET", image+path, acme.basic()).Is(200).Body)
			}
			eventually(t, func() bool {
				w.Do("GET", image+"/blobs/"+w.blob, acme.basic()).Is(200)
				return w.counts.of("blob hit") > 0
			})
			outage(w.quay.When("", "/v2/"))
			for _, path := range asked {
				answer := w.Do("GET", image+path, acme.basic()).Is(200)
				if string(answer.Body) != before[path] {
					t.Errorf("%s is %s", path, answer.Body)
				}
				due := !strings.Contains(path, "sha256:") || strings.Contains(path, "referrers")
				warned := strings.HasPrefix(answer.Header.Get("Warning"), `299 - "the vendor's registry cannot be asked now; this is what it said at 2`)
				if warned != due {
					t.Errorf("%s has the warning %q", path, answer.Header.Get("Warning"))
				}
				answer.Hides(upstreamNames()...)
			}
			w.Do("HEAD", image+"/manifests/v1", acme.basic()).Is(200).Has("Docker-Content-Digest", w.digest)
			if answer := w.Do("GET", image+"/manifests/v2", acme.basic()); answer.Status < 400 {
				t.Errorf("a tag that nobody pulled is answered %d", answer.Status)
			}
			if w.counts.of("manifest stale") == 0 || len(w.lines("a registry cannot be asked, and customers get what it said last")) != 1 {
				t.Errorf("counted %v, logged %v", w.counts.answers, w.lines("a registry cannot be asked, and customers get what it said last"))
			}
			acme.license.Revoked = true
			w.admit(acme)
			for _, path := range asked {
				w.Do("GET", image+path, acme.basic()).Fails(403, oci.Denied)
			}
		})
	}
}

// TestAnOutageForAnotherClient: what one client pulled serves another one, which asks in other words, if that one
// accepts it.
func TestAnOutageForAnotherClient(t *testing.T) {
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	for accept, served := range map[string]bool{
		"": true, "*/*": true, "application/*": true, manifest: true, "text/html, */*;q=0.1": true,
		"application/vnd.docker.distribution.manifest.list.v2+json, " + manifest: true,
		"application/vnd.docker.distribution.manifest.v2+json":                   false, "text/*": false,
	} {
		t.Run("accepts "+accept, func(t *testing.T) {
			w := newWorld(t, config{cache: "mem://"})
			acme := w.licensed("app")
			accepting := func(what string) proxytest.Option {
				return func(r *http.Request) {
					if what != "" {
						r.Header.Set("Accept", what)
					}
				}
			}
			w.Do("GET", image+"/manifests/v1", acme.basic(), accepting(manifest+", text/plain")).Is(200)
			w.quay.When("", "/v2/").BreakOff()
			for _, method := range []string{"HEAD", "GET"} {
				answer := w.Do(method, image+"/manifests/v1", acme.basic(), accepting(accept))
				if (answer.Status == 200) != served {
					t.Errorf("%s is answered %d", method, answer.Status)
				}
			}
		})
	}
}

// TestForHowLongAnAnswerIsServed, by its age, while the registry can be asked, and while it cannot.
func TestForHowLongAnAnswerIsServed(t *testing.T) {
	for name, test := range map[string]struct {
		query       string
		age         time.Duration
		tag, digest bool // are served while the registry is down
		warned      bool // of the digest
		asked       bool // about the digest while it is up
	}{
		"young":                 {age: time.Hour, tag: true, digest: true},
		"a day":                 {age: 25 * time.Hour, digest: true, warned: true, asked: true},
		"two days":              {age: 49 * time.Hour, asked: true},
		"from the future":       {age: -2 * time.Hour, tag: true, digest: true, warned: true, asked: true},
		"longer":                {query: "&stale=72h", age: 50 * time.Hour, tag: true, digest: true, warned: true, asked: true},
		"never":                 {query: "&stale=0", age: time.Minute, digest: true},
		"never, and a day":      {query: "&stale=0", age: 25 * time.Hour, asked: true},
		"a minute, when strict": {query: "&strict=true", age: 2 * time.Minute, tag: true, digest: true, warned: true, asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			url := directory(dir, "size=1GiB"+test.query)
			before := newWorld(t, config{cache: url})
			acme := before.licensed("app")
			before.Do("GET", image+"/manifests/v1", acme.basic()).Is(200)
			before.Do("GET", image+"/blobs/"+before.blob, acme.basic()).Is(200)
			eventually(t, func() bool { return len(objects(t, dir, "content")) > 0 })
			age(t, dir, test.age)
			ask := func(w *world, path string) *proxytest.Answer {
				w.admit(acme)
				return w.Do("GET", image+path, acme.basic())
			}
			down := newWorld(t, config{cache: url})
			down.quay.When("", "/v2/").BreakOff()
			for path, served := range map[string]bool{
				"/manifests/v1": test.tag, "/manifests/" + down.digest: test.digest, "/blobs/" + down.blob: test.digest,
			} {
				answer := ask(down, path)
				if (answer.Status == 200) != served {
					t.Errorf("%s is answered %d while the registry is down", path, answer.Status)
				}
				if warned := answer.Header.Get("Warning") != ""; served && strings.Contains(path, "sha256") && warned != test.warned {
					t.Errorf("%s: warned is %v", path, warned)
				}
			}
			up := newWorld(t, config{cache: url})
			ask(up, "/blobs/"+up.blob).Is(200).Lacks("Warning")
			if asked := len(up.network.Requests(registrytest.Sent("HEAD", "/v2/team/api/blobs/"+up.blob))) > 0; asked != test.asked {
				t.Errorf("the registry was asked: %v", asked)
			}
		})
	}
}

// TestARefusedCredential: what is kept is served as in an outage, unless it is to be strict.
func TestARefusedCredential(t *testing.T) {
	for query, served := range map[string]bool{"": true, "&strict=true": false, "&stale=0": false} {
		t.Run("query "+query, func(t *testing.T) {
			dir := t.TempDir()
			url := directory(dir, "size=1GiB"+query)
			before := newWorld(t, config{cache: url})
			acme := before.licensed("app")
			for _, path := range before.kinds() {
				before.Do("GET", image+path, acme.basic()).Is(200)
			}
			eventually(t, func() bool { return len(objects(t, dir, "content")) > 0 })
			age(t, dir, 2*time.Minute)
			refused := newWorld(t, config{cache: url, password: "another"})
			refused.admit(acme)
			for _, path := range refused.kinds() {
				byDigest := strings.Contains(path, "sha256:") && !strings.Contains(path, "referrers")
				want := served || byDigest && query == "&stale=0"
				if answer := refused.Do("GET", image+path, acme.basic()); (answer.Status == 200) != want {
					t.Errorf("%s is answered %d", path, answer.Status)
				}
			}
		})
	}
}

// TestWhatIsGoneIsGone: a tag that was removed is not served, nor what a repository lost after a day.
func TestWhatIsGoneIsGone(t *testing.T) {
	w := newWorld(t, config{cache: "mem://"})
	acme := w.licensed("app")
	w.Do("GET", image+"/manifests/v1", acme.basic()).Is(200)
	w.quay.When("", "/manifests/v1").Answer(404, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`)
	w.Do("GET", image+"/manifests/v1", acme.basic()).Fails(404, oci.ManifestUnknown)
	w.quay.When("", "/manifests/v1").BreakOff()
	if answer := w.Do("GET", image+"/manifests/v1", acme.basic()); answer.Status == 200 {
		t.Error("a tag that the registry has removed is served in an outage")
	}
}
