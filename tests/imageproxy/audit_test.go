// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestWhatTheLogTells: what becomes of an object is one audit line, and at debug each request has its decision.
// harness looks for ids and passwords in all of it.
func TestWhatTheLogTells(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	other := &license{vendor: v, customer: "other", id: "planted-license-id"}
	v.ids = append(v.ids, other.id)
	v.pushed("private", "v1")
	server := v.serve("--log-level=debug")
	other.write("")
	untilStatus(t, server, "/manifests/v1", other.auth(), http.StatusOK)
	other.write("  customerEmail: a@example.com\n")
	awaitAudit(t, server, "changed")
	other.revoke()
	untilStatus(t, server, "/manifests/v1", other.auth(), http.StatusForbidden)
	other.remove()
	untilStatus(t, server, "/manifests/v1", other.auth(), http.StatusUnauthorized)
	acme.write("  expiresAt: 2020-01-01T00:00:00Z\n")
	untilStatus(t, server, "/manifests/v1", acme.auth(), http.StatusForbidden)
	awaitAudit(t, server, "expired")
	var got []string
	for _, line := range server.Stderr.Records("audit") {
		got = append(got, fmt.Sprint(line["level"], " ", line["event"], " ", line["kind"], " ", line["name"], " ", line["state"]))
	}
	want := []string{
		"INFO made License other in_force", "INFO changed License other in_force", "INFO revoked License other revoked",
		"INFO removed License other <nil>", "INFO expired License acme expired",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit lines (-want +got):\n%s", diff)
	}
	for message, reason := range map[string]any{"admitted": nil, "refused": "expired"} {
		harness.Eventually(t, message, func(context.Context) error {
			for _, line := range server.Stderr.Records(message) {
				if line["level"] == "DEBUG" && line["reason"] == reason && line["rule"] != "" && line["license"] != "" {
					return nil
				}
			}
			return errors.New("no such line")
		})
	}
}

// awaitAudit waits for a line with that event.
func awaitAudit(t *testing.T, server *harness.Server, event string) {
	t.Helper()
	harness.Eventually(t, "audit "+event, func(context.Context) error {
		for _, line := range server.Stderr.Records("audit") {
			if line["event"] == event {
				return nil
			}
		}
		return errors.New("no such line")
	})
}

// TestAWrongCredentialIsToldBeforeACustomerAsks: nobody pulls anything, and the log has the object.
func TestAWrongCredentialIsToldBeforeACustomerAsks(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	harness.WriteFile(t, filepath.Join(v.dir, "private.json"), harness.DockerConfig(t, v.registries["private"].Host, harness.Username, "mistyped"))
	server := v.serve()
	harness.Eventually(t, "a line about the-private", func(context.Context) error {
		lines := server.Stderr.Records("the registry does not take its credential")
		if len(lines) != 1 {
			return fmt.Errorf("%d lines", len(lines))
		}
		return nil
	})
}
