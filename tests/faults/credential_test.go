// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// newPassword replaces the operator's during a test.
const newPassword = "operators-next-password"

// TestTokenExpiresDuringUpload: the token that the PATCH began with has ended before the PUT, which gets a
// fresh one (quirk A5).
func TestTokenExpiresDuringUpload(t *testing.T) {
	t.Parallel()
	tokens := harness.NewTokens(t, 3*time.Second)
	upstream := tokens.Guard(harness.Distribution{Program: harness.Tool(t, "registry"), Token: tokens.Config(t)}.Start(t))
	server := harness.Start(t, harness.Options{Upstream: upstream})
	blob := harness.NewBlob(100 << 10)

	location := server.StartUpload(t)
	held := harness.Hold(t, http.MethodPatch, location)
	held.Send(t, blob.Content[:40<<10])
	server.AwaitMetric(t, 1, "lsp_uploads_in_flight", `door="source"`)
	asked := tokens.Issued()
	if len(asked) == 0 {
		t.Fatal("an upload began without a token")
	}
	harness.Eventually(t, "the tokens so far to expire", func(context.Context) error {
		answer := harness.Call(t, harness.Request{
			Method: http.MethodGet, URL: upstream.URL("/v2/"),
			Header: http.Header{"Authorization": {"Bearer " + asked[len(asked)-1]}},
		})
		if answer.Status != http.StatusUnauthorized {
			return errors.New("the registry still takes it")
		}
		return nil
	})
	held.Send(t, blob.Content[40<<10:])
	location = held.Finish(t).Want(t, http.StatusAccepted).Location(t, location)
	harness.Call(t, harness.Request{Method: http.MethodPut, URL: harness.WithDigest(t, location, blob.Digest)}).Want(t, http.StatusCreated)
	upstream.AssertBlob(t, blob)
	if got := len(tokens.Issued()); got <= len(asked) {
		t.Errorf("no token was fetched after the first had expired")
	}
}

// TestPasswordChangesDuringUpload: the upload in flight ends well, and the next request shows the new
// password.
func TestPasswordChangesDuringUpload(t *testing.T) {
	t.Parallel()
	upstream := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	server := harness.Start(t, harness.Options{Upstream: upstream, Secrets: []string{harness.Password, newPassword}})
	blob := harness.NewBlob(100 << 10)

	location := server.StartUpload(t)
	held := harness.Hold(t, http.MethodPatch, location)
	held.Send(t, blob.Content[:40<<10])
	server.AwaitMetric(t, 1, "lsp_uploads_in_flight", `door="source"`)
	change(t, upstream, server)
	held.Send(t, blob.Content[40<<10:])
	location = held.Finish(t).Want(t, http.StatusAccepted).Location(t, location)
	harness.Call(t, harness.Request{Method: http.MethodPut, URL: harness.WithDigest(t, location, blob.Digest)}).Want(t, http.StatusCreated)
	upstream.AssertBlob(t, blob)
}

// TestChangedPasswordEndsARefusal: a wrong password is remembered for a while, but not after it has changed.
func TestChangedPasswordEndsARefusal(t *testing.T) {
	t.Parallel()
	upstream := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	server := harness.Start(t, harness.Options{
		Upstream: upstream, DockerConfig: harness.DockerConfig(t, upstream.Host, harness.Username, "not the password"),
		Secrets: []string{"not the password", newPassword},
	})
	post := harness.Request{Method: http.MethodPost, URL: server.URL("/v2/source/blobs/uploads/")}
	harness.Call(t, post).WantError(t, http.StatusForbidden, "DENIED")
	change(t, upstream, server)
	harness.Call(t, post).Want(t, http.StatusAccepted)
}

// change changes the password at the registry and in the docker config, and waits until the server has read
// it.
func change(t *testing.T, upstream *harness.Registry, server *harness.Server) {
	t.Helper()
	upstream.SetPassword(t, newPassword)
	applied := server.Metric(t, "lsp_settings_reloads_total", `result="applied"`)
	harness.WriteFile(t, server.DockerConfigFile, upstream.DockerConfig(t))
	harness.Eventually(t, "the new password to be read", func(context.Context) error {
		if server.Metric(t, "lsp_settings_reloads_total", `result="applied"`) == applied {
			return errors.New("no reload yet")
		}
		return nil
	})
}
