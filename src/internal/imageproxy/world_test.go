// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The registries of the vendor. Each holds the repository team/api with the tag v1, and guards it.
const (
	// quay is open to all applications.
	quay = "quay.io"
	// inner is open to the application "other" alone, and known by an alias too.
	inner      = "registry.vendor.example:5000"
	innerAlias = "inner"
	hub        = "docker.io"
	hubServer  = "registry-1.docker.io"
)

// config says what is special about a world.
type config struct {
	// terminate is --terminate-on-revoke.
	terminate bool
	// proxies are trusted.
	proxies string
	// pulls of a license at once; 0: any number.
	pulls int
	// external are the vendor's URLs.
	external string
	// keys of the tokens.
	keys []byte
	// without leaves a registry out.
	without string
	// passes is a mistake in how the registries were made: that redirects are left to clients.
	passes bool
	// silence and waiting bound a registry that does not answer; 0: as the server has it.
	silence time.Duration
	waiting int
	// transfers has the places for what is forwarded; nil: without end.
	transfers *httpserver.Transfers
	// password with which the vendor's robot comes to quay; empty: the right one.
	password string
	// cache is the URL of the storage; empty: nothing is kept.
	cache string
	// keychain of quay; nil: one with that password.
	keychain keychain.Keychain
}

// world is the image proxy before the vendor's registries.
type world struct {
	*proxytest.Caller
	network *registrytest.Network
	quay    *registrytest.Registry
	inner   *registrytest.Registry
	hub     *registrytest.Registry
	store   *catalog.Store
	issuer  *imageproxy.Issuer
	log     *proxytest.Log
	pulls   *pulls
	counts  *counts
	// digest of the manifest v1, and of a blob, in every team/api.
	digest, blob string

	t          *testing.T
	side       *imageproxy.Proxy
	handler    http.Handler
	registries []*catalog.Registry
}

// pulls keeps the records.
type pulls struct {
	mu  sync.Mutex
	all []imageproxy.Record
}

func (p *pulls) Pulled(r imageproxy.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, r)
}

// last waits for nothing: a request is recorded before its client has all of the answer, unless it broke off.
func (p *pulls) last() imageproxy.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) == 0 {
		return imageproxy.Record{}
	}
	return p.all[len(p.all)-1]
}

func newWorld(t *testing.T, cfg config) *world {
	t.Helper()
	w := &world{t: t, network: registrytest.NewNetwork(t), store: catalog.NewStore(), log: &proxytest.Log{}, pulls: &pulls{}}
	w.quay, w.inner, w.hub = registrytest.NewRegistry(t), registrytest.NewRegistry(t), registrytest.NewRegistry(t)
	for server, registry := range map[string]*registrytest.Registry{quay: w.quay, inner: w.inner, hubServer: w.hub} {
		registry.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
		w.network.Serve(server, registry)
		for _, repository := range []string{"team/api", "library/busybox"} {
			w.digest = registry.PutManifest(repository, "application/vnd.oci.image.manifest.v1+json", []byte(`{"schemaVersion":2}`), "v1", "v2")
			w.blob = registry.PutBlob(repository, []byte("the layer"))
		}
	}
	for _, each := range []*catalog.Registry{
		{Name: "quay", Hostname: quay}, {Name: "vendors-own", Hostname: inner, Alias: innerAlias, Apps: []string{"other"}}, {Name: "hub", Hostname: hub},
	} {
		password := proxytest.Password
		if each.Hostname == quay && cfg.password != "" {
			password = cfg.password
		}
		keys := proxytest.Fixed(keychain.Credential{Username: proxytest.User, Password: password})
		if each.Hostname == quay && cfg.keychain != nil {
			keys = cfg.keychain
		}
		registry, err := upstream.New(upstream.Config{
			Host: each.Hostname, CACertData: w.network.CA(), Dial: w.network.Dial, RetryDelay: time.Microsecond, PassRedirects: cfg.passes,
			SilenceLimit: cfg.silence, MaxWaiting: cfg.waiting,
			Keychain: keys,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(registry.Close)
		each.Upstream = registry
		if each.Hostname != cfg.without {
			w.registries = append(w.registries, each)
		}
	}
	if cfg.keys == nil {
		cfg.keys = keyfile.Generate()
	}
	keys, err := imageproxy.ParseTokenKeys("keys", cfg.keys)
	if err != nil {
		t.Fatal(err)
	}
	proxies, err := imageproxy.ParseTrustedProxies(cfg.proxies)
	if err != nil {
		t.Fatal(err)
	}
	external, err := imageproxy.ParseExternalURLs(cfg.external)
	if err != nil {
		t.Fatal(err)
	}
	w.issuer = imageproxy.NewIssuer(keys, time.Now)
	logger := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	forwarding := engine.New(nil)
	forwarding.Transfers = cfg.transfers
	w.counts = &counts{answers: map[string]int{}}
	side := imageproxy.New(imageproxy.Config{
		Cache:  w.openCache(cfg.cache, logger),
		Engine: forwarding, Catalog: w.store, Issuer: w.issuer, Proxies: proxies, External: external,
		TerminateOnRevoke: cfg.terminate, ConcurrentPulls: cfg.pulls,
		Recorder: w.pulls, Logger: logger,
	})
	w.side = side
	w.handler = httpserver.AccessLog{Side: imageproxy.Side, Logger: logger}.Handler(side.Serve)
	server := httptest.NewServer(w.handler)
	t.Cleanup(func() {
		server.Close()
		side.Close()
	})
	w.Caller = proxytest.NewCaller(t, server.URL)
	return w
}

// customer is a license with one id.
type customer struct {
	license    catalog.License
	credential catalog.Credential
	id         string
}

// licensed puts a license of an application in force, beside no other, and returns its holder. It may be
// changed and put in force again.
func (w *world) licensed(app string) *customer {
	c := &customer{id: v1alpha1.NewID(), license: catalog.License{Name: "acme-" + app, App: app, Customer: "Acme"}}
	w.admit(c)
	return c
}

// admit puts exactly these customers' licenses in force.
func (w *world) admit(all ...*customer) {
	var credentials []*catalog.Credential
	for _, c := range all {
		license, credential := c.license, c.credential
		credential.License, credential.Name = &license, "license-id"
		credential.Hash = sha256.Sum256([]byte(c.id))
		credentials = append(credentials, &credential)
	}
	w.store.Replace(catalog.New(credentials, w.registries))
}

func (c *customer) basic() proxytest.Option { return proxytest.Basic("ops@acme.example", c.id) }

func bearer(token string) proxytest.Option { return proxytest.Header("Authorization", "Bearer "+token) }

// buy gets a token.
func (w *world) buy(c *customer, scopes ...string) string {
	w.t.Helper()
	query := "?service=x"
	for _, scope := range scopes {
		query += "&scope=" + scope
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		IssuedAt    string `json:"issued_at"`
	}
	body := w.Do("GET", "/v2/token"+query, c.basic()).Is(200).Has("Cache-Control", "no-store").Body
	if err := json.Unmarshal(body, &answer); err != nil {
		w.t.Fatal(err)
	}
	if _, err := time.Parse(time.RFC3339, answer.IssuedAt); err != nil || answer.Token == "" || answer.Token != answer.AccessToken || answer.ExpiresIn > 300 || answer.ExpiresIn < 60 {
		w.t.Fatalf("the token is %+v, %v", answer, err)
	}
	return answer.Token
}

// unspoken fails the test if a registry was asked for anything but its greeting.
func (w *world) unspoken() {
	w.t.Helper()
	w.network.None(func(r registrytest.Request) bool { return r.Path != "/v2/" })
}

// upstreamNames are what a customer must not find out.
func upstreamNames() []string {
	return []string{"registry.vendor.example", "registry-1.docker.io", "index.docker.io", "vendors-own", proxytest.User, proxytest.Password, "Basic realm=\"registry\""}
}

// lines returns the lines of the log with this message.
func (w *world) lines(message string) []map[string]any {
	w.t.Helper()
	var found []map[string]any
	for line := range strings.Lines(w.log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			w.t.Fatal(err)
		}
		if record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// kinds are the paths below a repository that can be asked for.
func (w *world) kinds() []string {
	return []string{"/manifests/v1", "/manifests/" + w.digest, "/blobs/" + w.blob, "/tags/list", "/referrers/" + w.digest}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal("it never came to be")
		case <-tick.C:
		}
	}
}
