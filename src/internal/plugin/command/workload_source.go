// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/pack"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// delivery is source that is ready to be sent: under which reference, and how.
type delivery struct {
	reference string
	send      func(context.Context) error
	close     func() error
}

// prepare packs the source and finds out its reference, without sending anything.
func (o *applyOptions) prepare(ctx context.Context, plan workload.Plan) (delivery, error) {
	switch plan.Route {
	case workload.ThroughProxy:
		return o.prepareProxy(ctx, plan)
	case workload.Straight:
		return o.prepareStraight(ctx, plan)
	default:
		return delivery{send: func(context.Context) error { return nil }, close: func() error { return nil }}, nil
	}
}

func (o *applyOptions) prepareProxy(ctx context.Context, plan workload.Plan) (delivery, error) {
	if _, err := tagOf(o.request.Namespace, o.request.Name, ""); err != nil {
		return delivery{}, err
	}
	client, err := o.client(o.source.quiet)
	if err != nil {
		return delivery{}, err
	}
	img, proxy, err := o.packAndAsk(ctx, client, &o.source)
	if err != nil {
		return delivery{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return delivery{}, errors.Join(err, img.Close())
	}
	tag, err := tagOf(o.request.Namespace, o.request.Name, proxy.Tenancy)
	if err != nil {
		return delivery{}, errors.Join(err, img.Close())
	}
	if !o.source.quiet {
		o.say("The source goes through the proxy: %s.", plan.Why)
	}
	return delivery{
		reference: push.Result{Repository: proxy.Target, Tag: tag, Digest: digest.String()}.Reference(),
		send: func(ctx context.Context) error {
			_, err := o.send(ctx, client, img, push.Options{Tag: tag, Repository: proxy.Target}, o.source.quiet)
			return err
		},
		close: func() error {
			client.CloseIdle()
			return img.Close()
		},
	}, nil
}

func (o *applyOptions) prepareStraight(ctx context.Context, plan workload.Plan) (delivery, error) {
	tag, err := name.NewTag(plan.Destination)
	if err != nil {
		return delivery{}, fmt.Errorf("image %q: not a valid image name", plan.Destination)
	}
	transport, err := registryTransport(o.registryCA)
	if err != nil {
		return delivery{}, err
	}
	img, err := o.source.pack(ctx)
	if err != nil {
		return delivery{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return delivery{}, errors.Join(err, img.Close())
	}
	if !o.source.quiet {
		o.say("The source goes straight to %s, past the proxy: %s.", tag.Name(), plan.Why)
		o.sayNotice(img)
	}
	return delivery{
		reference: push.Result{Repository: tag.Context().Name(), Tag: tag.TagStr(), Digest: digest.String()}.Reference(),
		send: func(ctx context.Context) error {
			return o.sendStraight(ctx, plan.Destination, img, transport)
		},
		close: img.Close,
	}, nil
}

func (o *applyOptions) sendStraight(
	ctx context.Context, destination string, img *pack.Image, transport http.RoundTripper,
) error {
	shown := o.uploadProgress(ctx, o.source.quiet)
	result, err := push.Straight(ctx, destination, img, transport, shown.update)
	shown.end()
	if err == nil && !o.source.quiet {
		o.sayResult(result)
	}
	return err
}

// registryTransport trusts the file's certificates beside the system's. Without a file nothing changes.
func registryTransport(caFile string) (http.RoundTripper, error) {
	standard, ok := remote.DefaultTransport.(*http.Transport)
	if caFile == "" || !ok {
		return remote.DefaultTransport, nil
	}
	system, err := x509.SystemCertPool()
	if err != nil {
		system = x509.NewCertPool()
	}
	pool, err := certificates(system, caFile)
	if err != nil {
		return nil, err
	}
	transport := standard.Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return transport, nil
}
