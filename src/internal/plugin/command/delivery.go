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
	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/pack"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// delivery is source that is ready to go: under which reference, and how.
type delivery struct {
	reference string
	send      func(context.Context) error
	close     func() error
}

// prepare packs the source and finds out its reference, without sending anything.
func (a *app) prepare(cmd *cobra.Command, f *applyFlags, plan workload.Plan) (delivery, error) {
	switch plan.Route {
	case workload.ThroughProxy:
		return a.prepareProxy(cmd, f, plan)
	case workload.Straight:
		return a.prepareStraight(cmd, f, plan)
	default:
		return delivery{send: func(context.Context) error { return nil }, close: func() error { return nil }}, nil
	}
}

func (a *app) prepareProxy(cmd *cobra.Command, f *applyFlags, plan workload.Plan) (delivery, error) {
	tag, err := tagOf(f.request.Namespace, f.request.Name)
	if err != nil {
		return delivery{}, err
	}
	client, err := a.client()
	if err != nil {
		return delivery{}, err
	}
	img, repository, err := a.packAndAsk(cmd, client, &f.source)
	if err != nil {
		return delivery{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return delivery{}, errors.Join(err, img.Close())
	}
	if !f.source.quiet {
		a.say("The source goes through the proxy: %s.", plan.Why)
	}
	return delivery{
		reference: push.Result{Repository: repository, Tag: tag, Digest: digest.String()}.Reference(),
		send: func(ctx context.Context) error {
			_, err := a.send(ctx, client, img, tag, repository, f.source.quiet)
			return err
		},
		close: func() error {
			client.CloseIdle()
			return img.Close()
		},
	}, nil
}

func (a *app) prepareStraight(cmd *cobra.Command, f *applyFlags, plan workload.Plan) (delivery, error) {
	tag, err := name.NewTag(plan.Destination)
	if err != nil {
		return delivery{}, fmt.Errorf("image %q: not a valid image name", plan.Destination)
	}
	transport, err := registryTransport(f.registryCA)
	if err != nil {
		return delivery{}, err
	}
	img, err := f.source.pack(cmd.Context(), cmd)
	if err != nil {
		return delivery{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return delivery{}, errors.Join(err, img.Close())
	}
	if !f.source.quiet {
		a.say("The source goes straight to %s, past the proxy: %s.", tag.Name(), plan.Why)
		a.sayNotice(img)
	}
	return delivery{
		reference: push.Result{Repository: tag.Context().Name(), Tag: tag.TagStr(), Digest: digest.String()}.Reference(),
		send: func(ctx context.Context) error {
			return a.sendStraight(ctx, plan.Destination, img, transport, f.source.quiet)
		},
		close: img.Close,
	}, nil
}

func (a *app) sendStraight(ctx context.Context, destination string, img *pack.Image, transport http.RoundTripper, quiet bool) error {
	shown := &progress{a: a, quiet: quiet}
	result, err := push.Straight(ctx, destination, img, transport, shown.update)
	shown.end()
	if err == nil && !quiet {
		a.sayResult(result)
	}
	return err
}

// registryTransport trusts the file's certificates beside the system's; no file, no change.
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
