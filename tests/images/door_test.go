// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestSignaturesSurvive, in both places where they are kept: referrers, by the API or by a tag where the registry has none, and the
// tags of cosign.
func TestSignaturesSurvive(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	server := v.serve()
	auth := remote.WithAuth(&authn.Basic{Username: "x", Password: acme.id})
	for alias, registry := range v.registries {
		t.Run(alias, func(t *testing.T) {
			t.Parallel()
			image := harness.Image(t)
			if err := remote.Write(registry.Reference(t, "signed"), image, registry.Options(t)...); err != nil {
				t.Fatal(err)
			}
			subject, err := partial.Descriptor(image)
			if err != nil {
				t.Fatal(err)
			}
			signature := mutate.Subject(harness.Image(t), *subject).(v1.Image)
			digest := harness.Digest(t, image)
			tag := strings.Replace(digest, ":", "-", 1) + ".sig"
			for _, reference := range []string{tag, harness.Digest(t, signature)} {
				if err := remote.Write(registry.Reference(t, reference), signature, registry.Options(t)...); err != nil {
					t.Fatal(err)
				}
			}
			here := harness.Reference(t, server.Images, name(alias), digest)
			index, err := remote.Referrers(here.Context().Digest(digest), auth, remote.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.String() != harness.Digest(t, signature) {
				t.Errorf("the referrers are %+v, %v", manifest, err)
			}
			signed, err := remote.Image(here.Context().Tag(tag), auth, remote.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			if got := harness.Digest(t, signed); got != harness.Digest(t, signature) {
				t.Errorf("the signature's tag is %s", got)
			}
		})
	}
}

// TestAFloodOfWrongLicenses slows nobody else, not even behind the same address, and does not fill the log.
func TestAFloodOfWrongLicenses(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	v.pushed("private", "v1")
	server := v.serve()
	const requests, senders = 2000, 8
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
	began := time.Now()
	for range 20 {
		get(t, server, "private", "/manifests/v1", acme.auth()).Want(t, http.StatusOK)
	}
	t.Logf("20 manifests in %s beside the flood", time.Since(began).Round(time.Millisecond))
	flood.Wait()
	t.Logf("%d wrong licenses in %s: %v", requests, time.Since(began).Round(time.Millisecond), statuses)
	if statuses[401]+statuses[429] != requests || statuses[401] > requests/10 || statuses[401] == 0 {
		t.Errorf("answered %v", statuses)
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

// TestTheVendorsPasswordIsRefused: a 502 without a hint for the customer, and the object's name for the vendor.
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

// lastPull waits for a line of the log with this status, which comes a little later than the answer, and gives the last one.
func lastPull(t *testing.T, server *harness.Server, status float64) (line map[string]any) {
	t.Helper()
	harness.Eventually(t, "a line in the log", func(context.Context) error {
		for _, each := range server.Stderr.Records("pull") {
			if each["status"] == status {
				line = each
			}
		}
		if line == nil {
			return errors.New("there is none")
		}
		return nil
	})
	return line
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

// TestTLS is reloaded when the files change, and a pair that does not fit leaves the old one in force. HTTP/2 works.
func TestTLS(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	v.pushed("private", "v1")
	first, second := harness.NewCertificates(t), harness.NewCertificates(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	copyFile(t, first.CertFile, certFile)
	copyFile(t, first.KeyFile, keyFile)
	server := v.serve("--image-proxy-tls-cert="+certFile, "--image-proxy-tls-key="+keyFile)
	served := func(by harness.Certificates) error { return pullOverTLS(t, server, by.CA, acme) }
	if err := served(first); err != nil {
		t.Fatal(err)
	}
	copyFile(t, second.CertFile, certFile) // whose key is still missing
	harness.Eventually(t, "the log says what is wrong", func(context.Context) error {
		if len(server.Stderr.Records("certificate not reloaded, the last good one stays in use")) == 0 {
			return errors.New("it does not")
		}
		return nil
	})
	if err := served(first); err != nil {
		t.Errorf("with half a pair: %v", err)
	}
	copyFile(t, second.KeyFile, keyFile)
	harness.Eventually(t, "the new certificate", func(context.Context) error { return served(second) })
	if served(first) == nil {
		t.Error("the old certificate is served still")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	harness.WriteFile(t, to, content)
}

// pullOverTLS pulls a manifest, by HTTP/2, from a server whose certificate is of this CA, and looks at the challenge.
func pullOverTLS(t *testing.T, server *harness.Server, ca []byte, customer *license) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for status, header := range map[int]http.Header{http.StatusOK: customer.auth(), http.StatusUnauthorized: {}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+server.Images+"/v2/"+name("private")+"/manifests/v1", nil)
		if err != nil {
			return err
		}
		request.Header = header
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != status || response.ProtoMajor != 2 {
			return fmt.Errorf("%s by %s", response.Status, response.Proto)
		}
		if challenge := response.Header.Get("WWW-Authenticate"); status == http.StatusUnauthorized && !strings.Contains(challenge, `realm="https://`+server.Images+`/v2/token"`) {
			return fmt.Errorf("challenged with %s", challenge)
		}
	}
	return nil
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

// TestRecords: one line a request, with all that a vendor asks for, and the metrics.
func TestRecords(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	digest := v.pushed("private", "v1")
	server := v.serve()
	get(t, server, "private", "/manifests/v1", nil).Want(t, http.StatusUnauthorized)
	token := buy(t, server, acme.id)
	get(t, server, "private", "/manifests/v1", acme.auth()).Want(t, http.StatusOK)
	harness.Call(t, harness.Request{Method: http.MethodHead, URL: "http://" + server.Images + "/v2/" + name("private") + "/manifests/" + digest, Header: acme.auth()}).Want(t, http.StatusOK)
	get(t, server, "private", "/tags/list", acme.auth()).Want(t, http.StatusOK)
	get(t, server, "unknown.example", "/manifests/v1", acme.auth()).WantError(t, http.StatusNotFound, "NAME_UNKNOWN")
	acme.revoke()
	untilStatus(t, server, "/manifests/v1", acme.auth(), http.StatusForbidden)

	image := "private/" + harness.Repository
	want := []map[string]any{
		{"customer": "", "license": "", "app": "", "action": "manifest", "image": image, "reference": "v1", "status": 401.0, "success": false},
		{"customer": "acme", "license": "acme", "app": app, "action": "auth", "image": "", "reference": "", "status": 200.0, "success": true},
		{"customer": "acme", "license": "acme", "app": app, "action": "manifest", "image": image, "reference": "v1", "status": 200.0, "success": true},
		{"customer": "acme", "license": "acme", "app": app, "action": "HEAD", "image": image, "reference": digest, "status": 200.0, "success": true},
		{"customer": "acme", "license": "acme", "app": app, "action": "tags", "image": image, "reference": "", "status": 200.0, "success": true},
		{"customer": "acme", "license": "acme", "app": app, "action": "manifest", "image": "unknown.example/" + harness.Repository, "reference": "v1", "status": 404.0, "success": false},
		{"customer": "acme", "license": "acme", "app": app, "action": "manifest", "image": image, "reference": "v1", "status": 403.0, "success": false},
	}
	last := lastPull(t, server, http.StatusForbidden)
	for i, line := range append(server.Stderr.Records("pull")[:len(want)-1], last) {
		for field, value := range want[i] {
			if line[field] != value {
				t.Errorf("line %d: %s is %v, want %v", i, field, line[field], value)
			}
		}
		_, hasError := line["error"]
		if line["id"] == "" || line["duration"] == nil || line["bytes"] == nil || line["remote"] != "127.0.0.1" || hasError == want[i]["success"] {
			t.Errorf("line %d is %v", i, line)
		}
	}
	if strings.Contains(server.Stderr.String(), token) {
		t.Error("a token is in the log")
	}
	if general := server.Stderr.Records("request"); len(general) != 0 {
		t.Errorf("%d general lines beside them", len(general))
	}
	labels := []string{`app="` + app + `"`, `customer="acme"`}
	if got := server.Metric(t, "lsp_image_requests_total", append(labels, `action="HEAD"`, `status="200"`)...); got != 1 {
		t.Errorf("%v requests are counted", got)
	}
	for metric, label := range map[string]string{"lsp_image_bytes_total": `app="` + app + `"`, "lsp_image_denials_total": `reason="revoked"`, "lsp_requests_total": `door="images"`, "lsp_image_objects": `state="valid"`} {
		if server.Metric(t, metric, label) == 0 {
			t.Errorf("%s{%s} is 0", metric, label)
		}
	}
}
