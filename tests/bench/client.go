// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"golang.org/x/sync/errgroup"
)

// Way is one way to the registry: straight, through the proxy, through nginx.
type Way struct {
	Name string
	// Base is the scheme and host that is spoken to, Repository the name there.
	Base, Repository string
	// Token is shown to whoever stands there; empty where none is needed.
	Token string
	// HTTP sends the requests.
	HTTP *http.Client
	// Server is what stands between; nil on the straight way.
	Server *Meter
}

// url gives the address of something in the repository.
func (w *Way) url(path string) string { return w.Base + "/v2/" + w.Repository + path }

// send makes one request and wants one status. It gives the header and the size of the answer's body.
func (w *Way) send(ctx context.Context, method, address string, body io.Reader, header http.Header, want int) (http.Header, int64, error) {
	response, err := w.open(ctx, method, address, body, header, want)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: read the answer: %w", w.Name, err)
	}
	return response.Header, n, nil
}

// open makes one request and wants one status. The answer's body is the caller's.
func (w *Way) open(ctx context.Context, method, address string, body io.Reader, header http.Header, want int) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("%s: make a request: %w", w.Name, err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if w.Token != "" {
		request.Header.Set("Authorization", "Bearer "+w.Token)
	}
	response, err := w.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.Name, err)
	}
	if response.StatusCode != want {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return nil, fmt.Errorf("%s: %s %s: %s, want %d: %s", w.Name, method, request.URL.Path, response.Status, want, text)
	}
	return response, nil
}

// Push uploads a blob as existing clients do: POST, one PATCH of unknown length, PUT.
func (w *Way) Push(ctx context.Context, blob Blob) error {
	location, err := w.step(ctx, http.MethodPost, w.url("/blobs/uploads/"), nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	location, err = w.step(ctx, http.MethodPatch, location.String(), blob.Reader(), http.StatusAccepted)
	if err != nil {
		return err
	}
	query := location.Query()
	query.Set("digest", blob.Digest)
	location.RawQuery = query.Encode()
	_, _, err = w.send(ctx, http.MethodPut, location.String(), nil, nil, http.StatusCreated)
	return err
}

func (w *Way) step(ctx context.Context, method, address string, body io.Reader, want int) (*url.URL, error) {
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	answer, _, err := w.send(ctx, method, address, body, header, want)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%s: read the address: %w", w.Name, err)
	}
	location, err := base.Parse(answer.Get("Location"))
	if err != nil {
		return nil, fmt.Errorf("%s: read the Location: %w", w.Name, err)
	}
	return location, nil
}

// PushAll uploads blobs at once. The first error ends all.
func (w *Way) PushAll(ctx context.Context, blobs []Blob) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, blob := range blobs {
		group.Go(func() error { return w.Push(ctx, blob) })
	}
	return group.Wait()
}

// Confirm asks for a blob that was pushed.
func (w *Way) Confirm(ctx context.Context, blob Blob) error {
	header, _, err := w.send(ctx, http.MethodHead, w.url("/blobs/"+blob.Digest), nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	if got := header.Get("Content-Length"); got != fmt.Sprint(blob.Size) {
		return fmt.Errorf("%s: %s has %s bytes, want %d: %w", w.Name, blob.Digest, got, blob.Size, errArrived)
	}
	return nil
}
