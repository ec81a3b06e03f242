// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestFlagsThatAreWrong end the server at once: one line, which says what to do.
func TestFlagsThatAreWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := harness.WriteFile(t, filepath.Join(dir, "text"), []byte("text"))
	side := []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--admin-address=127.0.0.1:0"}
	for name, test := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"no side":               {[]string{"--listen-address="}, 2, "there is nothing to serve"},
		"API, no cluster":       {[]string{"--api-address=127.0.0.1:0"}, 2, "--api-address is for a server in a cluster"},
		"API metrics, no API":   {[]string{"--api-metrics-by-namespace"}, 2, "--api-metrics-by-namespace needs --api-address"},
		"no objects":            {side, 2, "--image-proxy-dir"},
		"no address":            {[]string{"--image-proxy-dir=" + dir}, 2, "--image-proxy-address"},
		"certificate, no key":   {append(side, "--image-proxy-dir="+dir, "--image-proxy-tls-cert="+text), 2, "--image-proxy-tls-key"},
		"key, no certificate":   {append(side, "--image-proxy-dir="+dir, "--image-proxy-tls-key="+text), 2, "--image-proxy-tls-cert"},
		"no networks":           {append(side, "--image-proxy-dir="+dir, "--image-proxy-trusted-proxies=ingress"), 2, `"ingress" is not a network`},
		"neither TLS nor URL":   {append(side, "--image-proxy-dir="+dir, "--image-proxy-address=192.0.2.1:1"), 2, "--image-proxy-external-url"},
		"every address":         {append(side, "--image-proxy-dir="+dir, "--image-proxy-address=:0"), 2, "license ids would be readable"},
		"no URL":                {append(side, "--image-proxy-dir="+dir, "--image-proxy-external-url=a.example.com"), 2, "write https://images.example.com"},
		"http and TLS":          {append(side, "--image-proxy-dir="+dir, "--image-proxy-external-url=http://a.example.com", "--image-proxy-tls-cert="+text, "--image-proxy-tls-key="+text), 2, "write https://"},
		"no pulls":              {append(side, "--image-proxy-dir="+dir, "--image-proxy-concurrent-pulls=0"), 2, "--image-proxy-concurrent-pulls is 0: it must be 1 or more"},
		"pulls, no address":     {[]string{"--image-proxy-concurrent-pulls=5"}, 2, "--image-proxy-address"},
		"URL, no address":       {[]string{"--image-proxy-external-url=https://a.example.com"}, 2, "--image-proxy-address"},
		"no directory":          {append(side, "--image-proxy-dir="+filepath.Join(dir, "missing")), 1, "missing"},
		"no certificate's file": {append(side, "--image-proxy-dir="+dir, "--image-proxy-tls-cert="+filepath.Join(dir, "missing"), "--image-proxy-tls-key="+text), 1, "missing"},
		"no certificate":        {append(side, "--image-proxy-dir="+dir, "--image-proxy-tls-cert="+text, "--image-proxy-tls-key="+text), 1, "--image-proxy-tls-cert"},
		"no keys":               {append(side, "--image-proxy-dir="+dir, "--session-key-file="+text), 1, "line 1 is not a key"},
		"no sides for pushes":   {append(side, "--image-proxy-dir="+dir, "--embedded-registry"), 2, "--embedded-registry"},
		"no free address":       {append(side, "--image-proxy-dir="+dir, "--image-proxy-address=192.0.2.1:1", "--image-proxy-external-url=https://a.example.com"), 1, "choose another --image-proxy-address"},
		"no namespace here":     {append(side, "--image-proxy-dir="+dir, "--namespace=x"), 2, "--namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			process := harness.StartProcess(t, "local-source-proxy", harness.Command(append([]string{"serve", "--log-level=error"}, test.flags...)...))
			if code := process.Wait(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if said := process.Stderr.String(); !strings.Contains(said, test.says) || strings.Count(said, "\n") != 1 || process.Stdout.String() != "" {
				t.Errorf("said %q and %q, want one line with %q", said, process.Stdout.String(), test.says)
			}
		})
	}
}

// TestAnObjectThatIsWrong is reported, changes nothing, and leaves the rest in force.
func TestAnObjectThatIsWrong(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme, other := v.license("acme"), v.license("other")
	v.pushed("private", "v1")
	server := v.serve()
	acme.write("  expires: tomorrow\n")
	other.revoke()
	untilStatus(t, server, "/manifests/v1", other.auth(), http.StatusForbidden)
	get(t, server, "private", "/manifests/v1", acme.auth()).Want(t, http.StatusOK)
	server.AwaitMetric(t, 1, "lsp_image_objects", `state="invalid"`, `kind="License"`)
	acme.write("  expiresAt: 2020-01-01T00:00:00Z\n")
	untilStatus(t, server, "/manifests/v1", acme.auth(), http.StatusForbidden)
}
