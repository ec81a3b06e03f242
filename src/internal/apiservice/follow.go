// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/frontproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
)

// Config says what is kept.
type Config struct {
	Cluster *kube.Client
	// Name is the APIService's, and Secret that of the Secret with the certificate.
	Name, Secret string
	// Host is what the API server calls this server: <service>.<namespace>.svc.
	Host string
	// Reloaded is told of each change of what is followed, and whether it is in force.
	Reloaded func(what string, applied bool)
	Log      *slog.Logger
}

// What [Config.Reloaded] is told of.
const (
	FrontProxy  = "front_proxy"
	Certificate = "api_certificate"
)

// Follower has what is in force. It is safe for concurrent use.
type Follower struct {
	front   atomic.Pointer[frontproxy.Verifier]
	current atomic.Pointer[identity]
	cancel  context.CancelFunc
	tasks   sync.WaitGroup // each of them ends with the context
}

// Follow keeps the API's certificate and APIService until the context ends or [Follower.Close], and returns once a certificate and
// the API server's are known. An error is what kept it from that.
func Follow(ctx context.Context, cfg Config) (*Follower, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &Follower{cancel: cancel}
	k := &keeper{Follower: f, cfg: cfg, notes: make(chan func()), started: make(chan error, 1)}
	f.tasks.Go(func() { k.run(ctx) })
	f.tasks.Go(func() {
		cfg.Cluster.WatchAuthentication(ctx, func(found *corev1.ConfigMap, err error) {
			k.note(ctx, func() { k.readFront(found, err) })
		})
	})
	f.tasks.Go(func() {
		cfg.Cluster.Watch(ctx, cfg.Secret, func(secret *kube.Secret, err error) {
			k.note(ctx, func() { k.readSecret(secret, err) })
		})
	})
	f.tasks.Go(func() {
		cfg.Cluster.WatchAPIService(ctx, cfg.Name, func(service *kube.APIService, err error) {
			k.note(ctx, func() { k.readService(service, err) })
		})
	})
	var err error
	select {
	case err = <-k.started:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close ends what follows, and returns once all of it has ended.
func (f *Follower) Close() {
	f.cancel()
	f.tasks.Wait()
}

// Front is how the API server shows itself.
func (f *Follower) Front() *frontproxy.Verifier { return f.front.Load() }

// Until is when the certificate in force ends.
func (f *Follower) Until() time.Time { return f.current.Load().serving.Leaf.NotAfter }

// TLS serves the certificate that is in force when a connection begins. Clients are asked for a certificate and
// may have any: [frontproxy] judges it, request by request, because who is trusted may change meanwhile.
func (f *Follower) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		ClientAuth:     tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &f.current.Load().serving, nil },
	}
}
