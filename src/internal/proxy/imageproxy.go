// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache/storage"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/store"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// DefaultConcurrentPulls is how many blobs a license has sent at once where nothing else is said. With its
// other requests, and those that wait, it takes about half of what a pod of the package's size has memory for.
const DefaultConcurrentPulls = 32

// Images is what the command line says of the image proxy.
type Images struct {
	// Address of the side; empty: off.
	Address string
	// Dir has the objects; empty: the cluster does.
	Dir string
	// TLSCert and TLSKey are files of PEM; empty: plain HTTP.
	TLSCert, TLSKey string
	// TerminateOnRevoke ends downloads with their license.
	TerminateOnRevoke bool
	// TrustedProxies are networks, with commas between.
	TrustedProxies string
	// ExternalURLs say how clients reach the side, with commas between.
	ExternalURLs string
	// ConcurrentPulls is how many blobs one license has sent at once that names no number itself.
	ConcurrentPulls int
	// Cache is the URL of the storage that keeps what was pulled; empty: nothing is kept.
	Cache string
}

// check reports flags that do not go together.
func (i Images) check(inCluster bool) error {
	_, cached := i.cacheSettings()
	_, proxies := imageproxy.ParseTrustedProxies(i.TrustedProxies)
	external, urls := imageproxy.ParseExternalURLs(i.ExternalURLs)
	switch {
	case i.Address == "" && i != Images{} && i != Images{ConcurrentPulls: DefaultConcurrentPulls}:
		return errors.New("the flags of the image proxy need --image-proxy-address: pass the address to serve it on")
	case i.Address == "":
		return nil
	case i.Dir == "" && !inCluster:
		return errors.New("--image-proxy-address needs --image-proxy-dir, a directory with licenses and registries, outside of a cluster")
	case (i.TLSCert == "") != (i.TLSKey == ""):
		return errors.New("--image-proxy-tls-cert and --image-proxy-tls-key belong together: pass both, or neither")
	case i.ConcurrentPulls < 1:
		return fmt.Errorf("--image-proxy-concurrent-pulls is %d: it must be 1 or more", i.ConcurrentPulls)
	case cached != nil:
		return fmt.Errorf("--image-proxy-cache: %w", cached)
	case proxies != nil:
		return fmt.Errorf("--image-proxy-trusted-proxies: %w", proxies)
	case urls != nil:
		return fmt.Errorf("--image-proxy-external-url: %w", urls)
	case i.TLSCert != "" && external.Plain():
		return errors.New("--image-proxy-external-url says http, but --image-proxy-tls-cert serves TLS: write https://")
	case i.TLSCert == "" && len(external) == 0 && openToOthers(i.Address):
		return fmt.Errorf("--image-proxy-address %s is no loopback address and without TLS, in which license ids would be readable: "+
			"pass --image-proxy-tls-cert and --image-proxy-tls-key, or --image-proxy-external-url with the https:// address of "+
			"what ends TLS in front (http:// where ids may be readable)", i.Address)
	default:
		return nil
	}
}

// cacheSettings are those of the cache, if there is to be one.
func (i Images) cacheSettings() (storage.Settings, error) {
	if i.Cache == "" {
		return storage.Settings{}, nil
	}
	return storage.ParseURL(i.Cache)
}

// openCache opens the cache; nil without one.
func openCache(ctx context.Context, cfg Config, m *metrics.Metrics) (*cache.Cache, error) {
	settings, err := cfg.Images.cacheSettings()
	if err != nil || cfg.Images.Cache == "" {
		return nil, err
	}
	counted := m.Cache()
	opened, err := storage.Open(ctx, settings, counted, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("--image-proxy-cache: %w", err)
	}
	counted.Size(opened.Size)
	return cache.New(ctx, cache.Config{
		Policy: settings.Policy, Storage: opened, Observer: counted, Log: cfg.Logger,
	}), nil
}

// openImages opens the image proxy.
func openImages(ctx context.Context, cfg Config, m *metrics.Metrics) (*part, error) {
	cluster, err := cfg.Sources.cluster(kube.NewImageProxy, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return openImagesOf(ctx, cluster, cfg, m)
}

// openImagesOf opens the image proxy. What it reads to start ends with the context. What it follows ends with
// close, and not with the context: a license that is revoked while the last downloads finish still counts.
func openImagesOf(starting context.Context, cluster *kube.Client, cfg Config, m *metrics.Metrics) (*part, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(starting))
	p := &part{ready: always, close: func() error { cancel(); return nil }}
	secured, err := openTLS(ctx, cfg, m)
	if err != nil {
		return p, err
	}
	shared := keys{what: "token keys", file: cfg.SessionKeyFile, cluster: cluster, secret: kube.TokenKeySecret,
		logger: cfg.Logger, reloaded: m.Reload}
	content, err := shared.read(starting)
	if err != nil {
		return p, err
	}
	issuer, err := openIssuer(ctx, shared, content)
	if err != nil {
		return p, err
	}
	if shared.alone() {
		p.note = "tokens end with it, and no other replica takes them; see --session-key-file"
	}
	proxies, err := imageproxy.ParseTrustedProxies(cfg.Images.TrustedProxies)
	if err != nil {
		return p, err
	}
	external, err := imageproxy.ParseExternalURLs(cfg.Images.ExternalURLs)
	if err != nil {
		return p, err
	}
	counted := m.Images()
	followed, err := store.Follow(ctx, store.Config{
		Dir: cfg.Images.Dir, Cluster: cluster, Observer: counted, Log: cfg.Logger, Ask: true,
		Upstream: upstream.Config{
			UserAgent: "local-source-proxy/" + cfg.Version, Observer: counted, Log: cfg.Logger,
			MaxWaiting: waitingForOne(cfg.capacity()),
		},
	})
	if err != nil {
		return p, err
	}
	kept, err := openCache(starting, cfg, m)
	if err != nil {
		cancel()
		return p, errors.Join(err, followed.Wait())
	}
	counted.Licenses(func() iter.Seq[*catalog.License] { return followed.Catalog().Current().Licenses() })
	side := imageproxy.New(imageproxy.Config{
		Engine: cfg.engine(imageproxy.Side, nil, m), Catalog: followed.Catalog(), Issuer: issuer, Proxies: proxies,
		External: external, TerminateOnRevoke: cfg.Images.TerminateOnRevoke, ConcurrentPulls: cfg.Images.ConcurrentPulls,
		Cache:    kept,
		Recorder: imageproxy.Recorders{counted, noted{followed}}, Logger: cfg.Logger,
	})
	stopped := make(chan error, 1)
	go func() { stopped <- followed.Wait() }()
	p.stopped, p.ready = stopped, func() bool { return isClosed(followed.Loaded()) }
	p.close = func() error {
		cancel()
		side.Close()
		_ = followed.Wait() // its error has been told by stopped
		return kept.Close()
	}
	p.listeners = []httpserver.Listener{{
		Name: imageproxy.Side, Address: cfg.Images.Address, Setting: "--image-proxy-address", TLS: secured,
		Connections: cfg.connections(imageproxy.Side, proxies.Trust, m),
		Handler:     httpserver.AccessLog{Side: imageproxy.Side, Logger: cfg.Logger, Recorder: m}.Handler(once(followed.Loaded(), side.Serve)),
	}}
	return p, nil
}

// waitingForOne is how many requests may wait for one registry: three quarters of the places for transfers at
// most, so that one that does not answer leaves some to the others.
func waitingForOne(c httpserver.Capacity) int {
	return max(min(upstream.MaxWaiting, c.Transfers*3/4), 1)
}

// once refuses requests until what decides about them has been read: every customer would look like a
// stranger.
func once(loaded <-chan struct{}, serve httpserver.HandlerFunc) httpserver.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !isClosed(loaded) {
			return oci.Busy(time.Second, "starting; try again in a moment")
		}
		return serve(w, r)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// noted has the objects' statuses follow what was pulled.
type noted struct{ *store.Store }

// Pulled implements [imageproxy.Recorder].
func (n noted) Pulled(r imageproxy.Record) {
	if r.Success && (r.Action == imageproxy.Manifest || r.Action == imageproxy.Blob) {
		n.Store.Pulled(r.License, r.Action == imageproxy.Manifest, time.Now())
	}
}

// certificate is how metrics call it.
const certificate = "certificate"

// openTLS loads the certificate, and follows its files; nil without one.
func openTLS(ctx context.Context, cfg Config, m *metrics.Metrics) (*tls.Config, error) {
	if cfg.Images.TLSCert == "" {
		return nil, nil
	}
	pair, err := httpserver.LoadCertificate(cfg.Images.TLSCert, cfg.Images.TLSKey, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("%w: mend the files, or --image-proxy-tls-cert and --image-proxy-tls-key", err)
	}
	m.Certificate(imageproxy.Side, pair.Until)
	m.InForce(certificate)
	go func() {
		if err := pair.Follow(ctx, func(err error) { m.Reload(certificate, err == nil) }); err != nil {
			cfg.Logger.Error("the certificate is not watched", "problem", err.Error())
		}
	}()
	return pair.Config(), nil
}

// openIssuer makes what signs tokens, with keys that have been read, and are followed until the context ends.
func openIssuer(ctx context.Context, shared keys, content []byte) (*imageproxy.Issuer, error) {
	first, err := imageproxy.ParseTokenKeys(shared.place(), content)
	if err != nil {
		return nil, err
	}
	issuer := imageproxy.NewIssuer(first, time.Now)
	go shared.follow(ctx, parsed(imageproxy.ParseTokenKeys, issuer.Replace))
	return issuer, nil
}
