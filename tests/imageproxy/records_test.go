// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

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

// lastPull waits for a line of the log with this status, which comes a little later than the answer, and
// gives the last one.
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
