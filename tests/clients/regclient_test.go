// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/scheme/reg"
	"github.com/regclient/regclient/types/ref"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// chunk makes every layer of a test several chunks, in bytes.
const chunk = 20 << 10

func newRegclient(host string, more ...regclient.Opt) *regclient.RegClient {
	return regclient.New(append([]regclient.Opt{
		regclient.WithConfigHost(config.Host{Name: host, Hostname: host, TLS: config.TLSDisabled}),
	}, more...)...)
}

func regclientRef(t *testing.T, name string) ref.Ref {
	t.Helper()
	parsed, err := ref.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func regclientCopy(t *testing.T, client *regclient.RegClient, dir, host, tag string) {
	t.Helper()
	from, to := regclientRef(t, "ocidir://"+dir+":"+tag), regclientRef(t, host+"/source:"+tag)
	if err := client.ImageCopy(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(t.Context(), to); err != nil {
		t.Error(err)
	}
}

func regclientImage(t *testing.T, host, tag string) string {
	t.Helper()
	return regclientPush(t, newRegclient(host), host, tag)
}

func regclientChunks(t *testing.T, host, tag string) string {
	t.Helper()
	return regclientPush(t, newRegclient(host, regclient.WithRegOpts(reg.WithBlobSize(chunk, chunk))), host, tag)
}

func regclientPush(t *testing.T, client *regclient.RegClient, host, tag string) string {
	t.Helper()
	image := harness.Image(t)
	dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image, harness.RefName(tag)) })
	regclientCopy(t, client, dir, host, tag)
	return harness.Digest(t, image)
}

func regclientIndex(t *testing.T, host, tag string) string {
	t.Helper()
	index := harness.Index(t)
	dir := harness.Layout(t, func(path layout.Path) error { return path.AppendIndex(index, harness.RefName(tag)) })
	regclientCopy(t, newRegclient(host), dir, host, tag)
	return harness.Digest(t, index)
}
