// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// far is how far away the registry is of the tree scenario: there and back.
const far = 20 * time.Millisecond

// tree pushes a small source tree, as a new client process each time: without connections, and on the
// straight way without a token. The registry and its token server are far away; the proxy is beside the
// client, and has connections and a token already.
func (b *Bench) tree(t testing.TB) {
	t.Helper()
	storage, _ := Storage(t, b.Plan)
	site := StartSite(t, Place{Storage: storage, Line: Line{RTT: far}})
	s := newSampler(fmt.Sprintf("source tree of %d files, %s, registry %s away", b.Files, size(int64(b.Bytes)), far))
	ways := []*Way{{Name: Direct, Base: site.Registry.Host, Repository: harness.Repository}, {Name: Proxy, Base: site.Server.Host, Repository: "source"}}
	pushes := uint64(0)
	b.turns(t, s.scenario, ways, func(way *Way, counts bool) {
		pushes++
		image := sourceTree(t, pushes, b.Files, b.Bytes)
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		auth := authn.Anonymous
		if way.Name == Direct {
			auth = &authn.Basic{Username: site.Registry.Username, Password: site.Registry.Password}
		}
		tag := fmt.Sprintf("tree-%d", pushes)
		start := time.Now()
		check(t, remote.Write(harness.Reference(t, way.Base, way.Repository, tag), image,
			remote.WithContext(t.Context()), remote.WithAuth(auth), remote.WithTransport(transport)))
		elapsed := time.Since(start)
		site.Registry.AssertArrived(t, tag, harness.Digest(t, image))
		if counts {
			s.add("time", "ms", way.Name, float64(elapsed.Microseconds())/1000)
		}
	})
	row := s.row("time", "ms")
	row.Verdicts = []Verdict{row.ratio(Proxy, Direct).atMost(1)}
	b.keep(s)
}

// sourceTree is an image of files that hold text, packed ahead.
func sourceTree(t testing.TB, seed uint64, files, bytesInAll int) v1.Image {
	t.Helper()
	// Text from few letters compresses about as well as source code does.
	letters := rand.New(rand.NewPCG(seed, 0))
	contents := make([][]byte, files)
	for i := range contents {
		contents[i] = make([]byte, bytesInAll/files)
		for j := range contents[i] {
			contents[i][j] = "etaoinsh"[letters.IntN(8)]
		}
	}
	return pack(t, contents...)
}

// pack makes an image with one layer of files.
func pack(t testing.TB, contents ...[]byte) v1.Image {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	for i, content := range contents {
		check(t, archive.WriteHeader(&tar.Header{Name: fmt.Sprintf("src/file-%d.go", i), Mode: 0o644, Size: int64(len(content))}))
		_, err := archive.Write(content)
		check(t, err)
	}
	check(t, archive.Close())
	check(t, zip.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed.Bytes())), nil
	})
	check(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	check(t, err)
	return image
}
