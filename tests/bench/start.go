// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// Targets of what a cluster pays before the first push.
const (
	maxStart = 300 // ms
	maxImage = 30  // MiB, compressed
	maxIdle  = 25  // MiB
)

// startPoll is how often a server that starts is asked whether it is ready.
const startPoll = time.Millisecond

// start measures from the start of the process to the first answer that it is ready, with the settings of the
// site's own server.
func (b *Bench) start(t testing.TB) {
	t.Helper()
	s := newSampler("server started, files for settings")
	proxy := b.site.way(Proxy)
	b.turns(t, s.scenario, []*Way{proxy}, func(_ *Way, counts bool) {
		admin := harness.FreeAddress(t)
		cmd := serverCommand("serve", "--listen-address=127.0.0.1:0", "--admin-address="+admin,
			"--values-file="+b.site.Server.ValuesFile, "--docker-config="+b.site.Server.DockerConfigFile)
		client := newClient(t, nil)
		begin := time.Now()
		process := harness.StartProcess(t, "local-source-proxy", cmd)
		check(t, ready(t.Context(), client, "http://"+admin+"/readyz"))
		elapsed := time.Since(begin)
		process.Stop(t)
		if counts {
			s.add("start to ready", "ms", Proxy, float64(elapsed.Microseconds())/1000)
		}
	})
	row := s.row("start to ready", "ms")
	row.Verdicts = []Verdict{row.of(Proxy).atMost(maxStart)}
	b.keep(s)
}

// ready asks until the answer is 200.
func ready(ctx context.Context, client *http.Client, address string) error {
	ctx, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return fmt.Errorf("ask whether the server is ready: %w", err)
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the server is ready: %w", errors.Join(ctx.Err(), err))
		case <-time.After(startPoll):
		}
	}
}

// idle reads the memory of the server that has done nothing yet.
func (b *Bench) idle(t testing.TB) {
	t.Helper()
	usage := read(t, b.site.way(Proxy))
	s := newSampler("server started, nothing done yet")
	s.add("resident memory", "MiB", Proxy, inMiB(usage.Resident))
	row := s.row("resident memory", "MiB")
	row.Verdicts = []Verdict{row.of(Proxy).atMost(maxIdle)}
	b.keep(s)
}

// image adds up what each platform's image is for whoever pulls it.
func (b *Bench) image(t testing.TB) {
	t.Helper()
	if b.Bundle == "" {
		b.leaveOut(t, "the size of the image: no bundle is given")
		return
	}
	sizes, err := imageSizes(b.Bundle)
	check(t, err)
	s := newSampler("image, as it is pulled")
	for _, one := range sizes {
		s.add(one.platform, "MiB", Proxy, inMiB(one.bytes))
		row := s.row(one.platform, "MiB")
		row.Verdicts = []Verdict{row.of(Proxy).atMost(maxImage)}
	}
	b.keep(s)
}

type imageSize struct {
	platform string
	bytes    int64
}

// imageSizes reads a bundle that imgpkg saved (dist/local-source-proxy.tar): the images of the one index in
// it.
func imageSizes(bundle string) ([]imageSize, error) {
	file, err := os.Open(bundle)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	defer file.Close()
	archive := tar.NewReader(file)
	for {
		header, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("read the bundle %s: no manifest.json: %w", bundle, err)
		}
		if header.Name == "manifest.json" {
			return parseSizes(archive)
		}
	}
}

// errNoImage says that a bundle holds no image for several platforms.
var errNoImage = errors.New("no image index in it")

func parseSizes(manifest io.Reader) ([]imageSize, error) {
	var entries []struct {
		ImageIndex *struct {
			Images []struct {
				Layers           []struct{ Size int64 }
				Config, Manifest struct{ Raw string }
			}
		}
	}
	if err := json.NewDecoder(manifest).Decode(&entries); err != nil {
		return nil, fmt.Errorf("read the bundle's manifest.json: %w", err)
	}
	var sizes []imageSize
	for _, entry := range entries {
		if entry.ImageIndex == nil {
			continue
		}
		for _, image := range entry.ImageIndex.Images {
			var platform struct{ OS, Architecture string }
			if err := json.Unmarshal([]byte(image.Config.Raw), &platform); err != nil {
				return nil, fmt.Errorf("read an image's config: %w", err)
			}
			bytes := int64(len(image.Config.Raw) + len(image.Manifest.Raw))
			for _, layer := range image.Layers {
				bytes += layer.Size
			}
			sizes = append(sizes, imageSize{platform.OS + "/" + platform.Architecture, bytes})
		}
	}
	if len(sizes) == 0 {
		return nil, fmt.Errorf("read the bundle's manifest.json: %w", errNoImage)
	}
	return sizes, nil
}
