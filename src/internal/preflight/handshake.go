// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Failure is the error when the registry answered, and not with yes.
type Failure struct {
	// Status of the registry's answer.
	Status int
	// Message is what the registry said, without addresses, or the standard text for the status.
	Message string
}

func (e *Failure) Error() string {
	return fmt.Sprintf("the registry answered %d %s: %s", e.Status, http.StatusText(e.Status), e.Message)
}

// maxAnswer is what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// TryPush starts an upload to the repository and cancels it. The error is a [*Failure], a
// [*upstream.Refusal], or of the network.
func TryPush(ctx context.Context, registry *upstream.Registry, repository string) error {
	location, err := StartUpload(ctx, registry, repository)
	if err != nil {
		return err
	}
	// Whether the registry lets go of the session at once or forgets it in time makes no difference to a
	// push.
	_ = CancelUpload(ctx, registry, repository, location)
	return nil
}

// StartUpload starts an upload and returns its location. A registry that says yes with another status than 202
// is taken at its word, as pushes do, provided it names a location.
func StartUpload(ctx context.Context, registry *upstream.Registry, repository string) (*url.URL, error) {
	u, err := registry.URL(ctx, "/v2/"+repository+"/blobs/uploads/", "")
	if err != nil {
		return nil, err
	}
	resp, err := send(ctx, registry, repository, http.MethodPost, u)
	if err != nil {
		return nil, fmt.Errorf("start an upload: %w", err)
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("start an upload: %w", failure(registry, resp))
	}
	_ = resp.Body.Close()
	location, err := registry.Location(u, resp.Header.Get("Location"))
	if err != nil {
		return nil, fmt.Errorf("start an upload: %w", &Failure{Status: http.StatusBadGateway, Message: err.Error()})
	}
	location.Scheme, location.Host = u.Scheme, u.Host
	return location, nil
}

// CancelUpload cancels an upload.
func CancelUpload(ctx context.Context, registry *upstream.Registry, repository string, location *url.URL) error {
	resp, err := send(ctx, registry, repository, http.MethodDelete, location)
	if err != nil {
		return fmt.Errorf("cancel the upload: %w", err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("cancel the upload: %w", failure(registry, resp))
	}
	return resp.Body.Close()
}

func send(
	ctx context.Context, registry *upstream.Registry, repository, method string, u *url.URL,
) (*http.Response, error) {
	ctx = upstream.WithCall(ctx, upstream.Call{Operation: "health", Scopes: []upstream.Scope{upstream.Push(repository)}})
	req, err := http.NewRequestWithContext(ctx, method, "", nil)
	if err != nil {
		return nil, err
	}
	req.URL = u
	return registry.RoundTrip(req)
}

func failure(registry *upstream.Registry, resp *http.Response) *Failure {
	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	var body oci.ErrorBody
	if err := json.Unmarshal(content, &body); err == nil && len(body.Errors) > 0 && body.Errors[0].Message != "" {
		return &Failure{Status: resp.StatusCode, Message: registry.Scrub(body.Errors[0].Message)}
	}
	return &Failure{Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)}
}
