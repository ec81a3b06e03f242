// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Blob is content with its digest.
type Blob struct {
	Content []byte
	Digest  string
}

// NewBlob returns random content of some bytes.
func NewBlob(size int) Blob {
	content := make([]byte, size)
	// crypto/rand.Read never fails.
	_, _ = rand.Read(content)
	return BlobOf(content)
}

// BlobOf returns content with its digest.
func BlobOf(content []byte) Blob {
	sum := sha256.Sum256(content)
	return Blob{Content: content, Digest: "sha256:" + hex.EncodeToString(sum[:])}
}

// Manifest returns a Docker schema 2 manifest, as the recorded client pushes it, of a config and a layer.
func Manifest(t testing.TB, config, layer Blob) Blob {
	t.Helper()
	part := func(kind string, blob Blob) map[string]any {
		return map[string]any{"mediaType": kind, "size": len(blob.Content), "digest": blob.Digest}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": ManifestType,
		"config": part("application/vnd.docker.container.image.v1+json", config),
		"layers": []any{part("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return BlobOf(manifest)
}

// ManifestType is the media type of [Manifest].
const ManifestType = "application/vnd.docker.distribution.manifest.v2+json"

// Stream wraps content so that its length is unknown and it is sent in chunks.
func Stream(content []byte) io.Reader { return io.MultiReader(bytes.NewReader(content)) }

// WithDigest adds the digest to the query of an upload's address.
func WithDigest(t testing.TB, location, digest string) string {
	t.Helper()
	address, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("digest", digest)
	address.RawQuery = query.Encode()
	return address.String()
}

// StartUpload begins an upload for source and returns where it goes on.
func (s *Server) StartUpload(t testing.TB) string {
	t.Helper()
	address := s.URL("/v2/source/blobs/uploads/")
	return Call(t, Request{Method: http.MethodPost, URL: address}).Want(t, http.StatusAccepted).Location(t, address)
}

// Push uploads a blob in the recorded way: POST, one streamed PATCH, PUT.
func (s *Server) Push(t testing.TB, blob Blob) {
	t.Helper()
	location := s.StartUpload(t)
	location = Call(t, Request{Method: http.MethodPatch, URL: location, Body: Stream(blob.Content)}).
		Want(t, http.StatusAccepted).Location(t, location)
	Call(t, Request{Method: http.MethodPut, URL: WithDigest(t, location, blob.Digest)}).Want(t, http.StatusCreated)
}

// AssertBlob pulls a blob from the registry itself, as the operator, and compares its content.
func (r *Registry) AssertBlob(t testing.TB, blob Blob) {
	t.Helper()
	layer, err := remote.Layer(r.Reference(t, "latest").Context().Digest(blob.Digest), r.Options(t)...)
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Compressed()
	if err != nil {
		t.Fatalf("pull %s from the upstream: %v", blob.Digest, err)
	}
	defer content.Close()
	got, err := io.ReadAll(content)
	if err != nil || !bytes.Equal(got, blob.Content) {
		t.Errorf("the upstream's %s has %d bytes, want the %d that were pushed (%v)", blob.Digest, len(got), len(blob.Content), err)
	}
}

// Held is a request whose body the test hands over bit by bit.
type Held struct {
	body   *io.PipeWriter
	cancel context.CancelFunc
	answer Answer
	err    error
	done   chan struct{}
}

// Hold sends a request with a body that stays open. Its end is waited for before the test ends.
func Hold(t testing.TB, method, address string) *Held {
	t.Helper()
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	held := &Held{body: writer, cancel: cancel, done: make(chan struct{})}
	client := newClient(t)
	go func() {
		defer close(held.done)
		held.answer, held.err = Try(ctx, client, Request{Method: method, URL: address, Body: reader, Length: -1})
		reader.CloseWithError(io.ErrClosedPipe)
	}()
	t.Cleanup(func() {
		cancel()
		writer.CloseWithError(context.Canceled)
		<-held.done
	})
	return held
}

// Send hands over a part of the body. It returns when the connection has taken it.
func (h *Held) Send(t testing.TB, content []byte) {
	t.Helper()
	if _, err := h.body.Write(content); err != nil {
		t.Fatalf("send a part of the body: %v (answer %d: %.300s, %v)", err, h.answer.Status, h.answer.Body, h.err)
	}
}

// Finish ends the body and returns the answer.
func (h *Held) Finish(t testing.TB) Answer {
	t.Helper()
	answer, err := h.End()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// End ends the body and returns the answer, or the error that the client saw.
func (h *Held) End() (Answer, error) {
	h.body.Close()
	<-h.done
	return h.answer, h.err
}

// Vanish ends the connection in the middle of the body, and waits until it is gone.
func (h *Held) Vanish() {
	h.cancel()
	// The transport waits for the body's reader before it gives up.
	h.body.CloseWithError(context.Canceled)
	<-h.done
}
