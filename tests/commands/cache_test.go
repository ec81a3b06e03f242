// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestDockerAtTheCache: Docker's engine pulls through the image proxy's cache cold, warm, and while the registry is
// down.
func TestDockerAtTheCache(t *testing.T) {
	t.Parallel()
	engine := startDocker(t)
	kind := kinds()[0]
	p := newPlace(t, kind, "--image-proxy-cache=file://"+t.TempDir()+"?size=1GiB")
	image := harness.Image(t)
	if err := remote.Write(p.upstream.Reference(t, "cached"), image, p.upstream.Options(t)...); err != nil {
		t.Fatal(err)
	}
	want := harness.Digest(t, image)
	m := p.machine(t, nil, "DOCKER_HOST=unix://"+engine.socket)
	reference := p.reading().repository + ":cached"
	pull := func(state string) {
		t.Helper()
		m.run(t, engine.client, "pull", "--quiet", reference)
		digests, _ := m.run(t, engine.client, "image", "inspect", "--format={{.RepoDigests}}", reference)
		if got := digestIn(t, digests); got != want {
			t.Errorf("%s: docker pulled %s, want %s", state, got, want)
		}
		m.run(t, engine.client, "rmi", reference)
	}
	pull("cold")
	pull("warm")
	p.server.AwaitLog(t, `"cache":"hit"`, 1)
	p.upstream.Process.Kill(t)
	pull("while the registry is down")
	p.server.AwaitLog(t, `"cache":"stale"`, 1)
}
