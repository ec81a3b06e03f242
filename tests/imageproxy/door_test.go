// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestAFloodOfWrongLicenses slows nobody else, not even behind the same address, and does not fill the log.
func TestAFloodOfWrongLicenses(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	v.pushed("private", "v1")
	server := v.serve()
	const requests, senders = 2000, 8
	began := time.Now()
	var flood sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range senders {
		flood.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for range requests / senders {
				answer, err := harness.Try(t.Context(), &http.Client{Transport: transport}, harness.Request{
					Method: http.MethodGet, URL: "http://" + server.Images + "/v2/" + name("private") + "/manifests/v1", Header: basic(rand.Text()),
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				statuses[answer.Status]++
				mu.Unlock()
			}
		})
	}
	for range 20 {
		get(t, server, "private", "/manifests/v1", acme.auth()).Want(t, http.StatusOK)
	}
	t.Logf("20 manifests in %s beside the flood", time.Since(began).Round(time.Millisecond))
	flood.Wait()
	took := time.Since(began)
	t.Logf("%d wrong licenses in %s: %v", requests, took.Round(time.Millisecond), statuses)
	most := 20 + 1 + int(took.Seconds()) // 20 are looked at, and one a second
	if statuses[401]+statuses[429] != requests || statuses[401] > most || statuses[401] == 0 {
		t.Errorf("answered %v, of which at most %d were to be looked at", statuses, most)
	}
	harness.Eventually(t, "the log", func(context.Context) error {
		lines := slices.DeleteFunc(server.Stderr.Records("pull"), func(line map[string]any) bool { return line["status"] == 200.0 })
		if len(lines) != statuses[401] {
			return fmt.Errorf("%d lines, for %d answers below the limit", len(lines), statuses[401])
		}
		return nil
	})
	server.AwaitMetric(t, float64(statuses[429]), "lsp_image_denials_total", `reason="rate_limited"`)
	server.AwaitMetric(t, float64(statuses[401]), "lsp_image_denials_total", `reason="unknown_license"`)
}

// TestTheVendorsPasswordIsRefused: a 502 without a hint for the customer, and the object's name for the
// vendor.
func TestTheVendorsPasswordIsRefused(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	v.pushed("legacy", "v1")
	server := v.serve()
	legacy := v.registries["legacy"]
	get(t, server, "legacy", "/manifests/v1", acme.auth()).Want(t, http.StatusOK)
	before := legacy.Password
	legacy.SetPassword(t, "another-secret-password")
	harness.Eventually(t, "the registry refuses the vendor", func(context.Context) error {
		answer := get(t, server, "legacy", "/manifests/v1", acme.auth())
		if answer.Status != http.StatusBadGateway {
			return fmt.Errorf("is answered %d", answer.Status)
		}
		answer.WantError(t, http.StatusBadGateway, "UNAVAILABLE")
		for _, hint := range []string{legacy.Host, "the-legacy", "robot", before} {
			if bytes.Contains(answer.Body, []byte(hint)) || strings.Contains(fmt.Sprint(answer.Header), hint) {
				t.Errorf("the customer is told %q: %v %s", hint, answer.Header, answer.Body)
			}
		}
		return nil
	})
	if said, _ := lastPull(t, server, http.StatusBadGateway)["error"].(string); !strings.Contains(said, "the-legacy") {
		t.Errorf("the vendor is told %q", said)
	}
	// The vendor mends it, and nothing needs a restart.
	v.opens("legacy", legacy)
	harness.Eventually(t, "the new password is used", func(context.Context) error {
		if got := get(t, server, "legacy", "/manifests/v1", acme.auth()).Status; got != http.StatusOK {
			return fmt.Errorf("is answered %d", got)
		}
		return nil
	})
}

// TestAnyDomain: the challenge names the one that the client used.
func TestAnyDomain(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	server := v.serve("--image-proxy-trusted-proxies=127.0.0.0/8,::1/128")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Images+"/v2/"+name("private")+"/manifests/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "images.vendor.example"
	request.Header.Set("X-Forwarded-Proto", "https")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	want := []string{
		`Bearer realm="https://images.vendor.example/v2/token",service="images.vendor.example",scope="repository:` + name("private") + `:pull"`,
		`Basic realm="License"`,
	}
	if got := response.Header.Values("WWW-Authenticate"); response.StatusCode != http.StatusUnauthorized || !slices.Equal(got, want) {
		t.Errorf("answered %s with %q, want %q", response.Status, got, want)
	}
}

// TestTwoDoors in one process: neither serves what the other has.
func TestTwoDoors(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	v.pushed("private", "v1")
	upstream := v.registries["public"]
	server := harness.Start(t, harness.Options{
		Upstream: upstream, Values: map[string]any{"plain_http": true},
		Flags:   []string{"--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + v.dir},
		Secrets: append([]string{harness.Password}, v.ids...),
	})
	upload := harness.Call(t, harness.Request{Method: http.MethodPost, URL: server.URL("/v2/source/blobs/uploads/")}).Want(t, http.StatusAccepted)
	get(t, server, "private", "/manifests/v1", acme.auth()).Want(t, http.StatusOK)
	for _, each := range []struct {
		method, url string
		header      http.Header
		status      int
		code        string
	}{
		{"GET", server.URL("/v2/" + name("private") + "/manifests/v1"), acme.auth(), 404, "NAME_UNKNOWN"},
		{"GET", server.URL("/v2/token"), acme.auth(), 404, "PATH_UNKNOWN"},
		{"GET", "http://" + server.Images + "/health", acme.auth(), 404, "PATH_UNKNOWN"},
		{"GET", "http://" + server.Images + "/v2/source/manifests/v1", acme.auth(), 404, "NAME_UNKNOWN"},
		{"HEAD", "http://" + server.Images + "/v2/source/manifests/v1", acme.auth(), 404, ""},
		{"POST", "http://" + server.Images + "/v2/source/blobs/uploads/", acme.auth(), 405, "UNSUPPORTED"},
		{"PATCH", "http://" + server.Images + upload.Header.Get("Location"), acme.auth(), 405, "UNSUPPORTED"},
		{"GET", "http://" + server.Images + "/metrics", acme.auth(), 404, "PATH_UNKNOWN"},
		{"GET", "http://" + server.Images + "/livez", acme.auth(), 404, "PATH_UNKNOWN"},
		{"GET", "http://" + server.Images + "/v2/source/manifests/v1", nil, 401, "UNAUTHORIZED"},
	} {
		answer := harness.Call(t, harness.Request{Method: each.method, URL: each.url, Header: each.header})
		if each.code == "" {
			answer.Want(t, each.status)
		} else {
			answer.WantError(t, each.status, each.code)
		}
		if answer.Header.Get("Lsp-Registry-Path") != "" && strings.Contains(each.url, server.Images) {
			t.Errorf("%s %s tells the operator's repository", each.method, each.url)
		}
	}
}
