// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// inCluster is the image name that clients use; they never resolve its host.
const inCluster = "local-source-proxy.tap-local-source-system.svc.cluster.local/source"

// TestClientThroughServiceProxy pushes as the published plug-in does: with go-containerregistry, whose
// requests go to the API server's service proxy with the user's token, which must not reach the registry
// (quirk K2).
func TestClientThroughServiceProxy(t *testing.T) {
	t.Parallel()
	upstream, server := start(t, nil)
	api := harness.NewAPIServer(t, server.Host)
	repository, err := name.NewRepository(inCluster, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	options := []remote.Option{remote.WithContext(t.Context()), remote.WithTransport(api.Transport(t))}
	image, index := harness.Image(t), harness.Index(t)
	if err := remote.Write(repository.Tag("image"), image, options...); err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(repository.Tag("index"), index, options...); err != nil {
		t.Fatal(err)
	}
	upstream.AssertArrived(t, "image", harness.Digest(t, image))
	upstream.AssertArrived(t, "index", harness.Digest(t, index))
	server.Stop(t)
	if strings.Contains(server.Stderr.String(), "developers-cluster-token") {
		t.Error("the user's token is in the log")
	}
}
