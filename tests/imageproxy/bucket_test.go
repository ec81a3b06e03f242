// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// bucket is one of a real S3 server, over a directory.
type bucket struct {
	*harness.Process
	address, dir string
}

// startBucket starts the server at an address; empty: at a free one.
func startBucket(t *testing.T, dir, address string) *bucket {
	t.Helper()
	program := os.Getenv("LSP_TOOL_VERSITYGW")
	if program == "" {
		t.Skip("make clients-test builds the S3 server: LSP_TOOL_VERSITYGW is not set")
	}
	if address == "" {
		address = harness.FreeAddress(t)
	}
	if err := os.MkdirAll(filepath.Join(dir, "images"), 0o700); err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(dir), "attributes") // not every file system has attributes
	if err := os.MkdirAll(beside, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--port", address, "--access", "the-access-key", "--secret", "the-secret-key", "--quiet",
		"posix", "--sidecar", beside, dir)
	b := &bucket{harness.StartProcess(t, "versitygw", cmd), address, dir}
	harness.Eventually(t, "the bucket answers", func(ctx context.Context) error {
		_, err := harness.Try(ctx, http.DefaultClient, harness.Request{Method: http.MethodGet, URL: "http://" + address + "/"})
		return err
	})
	return b
}

// flag is that of a cache in the bucket.
func (b *bucket) flag(query string) string {
	return "--image-proxy-cache=s3://images?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape("http://"+b.address) + query
}

// await waits until the bucket has a blob.
func (b *bucket) await(t *testing.T, digest string) {
	t.Helper()
	awaitKept(t, filepath.Join(b.dir, "images"), digest)
}

// onBucket starts a server that has the bucket's keys.
func (v *vendor) onBucket(flags ...string) *harness.Server {
	v.t.Helper()
	return harness.Start(v.t, harness.Options{
		Flags:       append([]string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + v.dir}, flags...),
		Environment: []string{"AWS_ACCESS_KEY_ID=the-access-key", "AWS_SECRET_ACCESS_KEY=the-secret-key"},
		Secrets:     append([]string{"the-secret-key", harness.Password}, v.ids...),
	})
}

// TestBucketOfTwoReplicas: what one has pulled the other has. A bucket that cannot be reached is no customer's
// trouble, and one that is back is used again by the next start.
func TestBucketOfTwoReplicas(t *testing.T) {
	t.Parallel()
	bucket := startBucket(t, t.TempDir(), "")
	blobs := []harness.Blob{harness.NewBlob(100), harness.NewBlob(3 << 20), harness.NewBlob(70 << 20)} // the last in two parts
	registry := newSlow(t, blobs...)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	one, two := v.onBucket(bucket.flag("")), v.onBucket(bucket.flag(""))
	pull := func(server *harness.Server, blob harness.Blob) {
		t.Helper()
		got := get(t, server, "slow", "/blobs/"+blob.Digest, acme.auth()).Want(t, http.StatusOK)
		if !bytes.Equal(got.Body, blob.Content) {
			t.Errorf("%d bytes of %d, which are others", len(got.Body), len(blob.Content))
		}
	}
	asked := func() (n int) {
		for _, seen := range registry.Requests() {
			if seen.Method == http.MethodGet && strings.Contains(seen.Path, "/blobs/") {
				n++
			}
		}
		return n
	}
	for _, blob := range blobs {
		pull(one, blob)
		bucket.await(t, blob.Digest)
	}
	before := asked()
	for _, blob := range blobs {
		pull(two, blob)
	}
	if n := asked() - before; n != 0 {
		t.Errorf("the registry sent %d blobs to the second replica", n)
	}
	part := harness.Call(t, harness.Request{
		Method: http.MethodGet, URL: "http://" + two.Images + "/v2/" + name("slow") + "/blobs/" + blobs[2].Digest,
		Header: http.Header{"Authorization": acme.auth()["Authorization"], "Range": {"bytes=68000000-68000009"}},
	}).Want(t, http.StatusPartialContent)
	if !bytes.Equal(part.Body, blobs[2].Content[68000000:68000010]) {
		t.Errorf("the range is %x", part.Body)
	}

	bucket.Kill(t)
	var clients sync.WaitGroup
	for _, server := range []*harness.Server{one, two} {
		for range 5 {
			for _, blob := range blobs {
				clients.Go(func() {
					answer, err := harness.Try(t.Context(), http.DefaultClient, harness.Request{
						Method: http.MethodGet, URL: "http://" + server.Images + "/v2/" + name("slow") + "/blobs/" + blob.Digest, Header: acme.auth(),
					})
					if err != nil || answer.Status != http.StatusOK || !bytes.Equal(answer.Body, blob.Content) {
						t.Errorf("without the bucket: %d, %d bytes of %d, %v", answer.Status, len(answer.Body), len(blob.Content), err)
					}
				})
			}
		}
	}
	clients.Wait()
	one.AwaitLog(t, "the cache's storage failed", 1)

	startBucket(t, bucket.dir, bucket.address)
	before = asked()
	again := v.onBucket(bucket.flag(""))
	pull(again, blobs[1])
	if asked() != before {
		t.Error("the registry was asked for what the bucket has again")
	}
}

// TestBucketOfADamagedBlob: nobody gets it whole, and it is replaced.
func TestBucketOfADamagedBlob(t *testing.T) {
	t.Parallel()
	bucket := startBucket(t, t.TempDir(), "")
	blob := harness.NewBlob(3 << 20)
	registry := newSlow(t, blob)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	server := v.onBucket(bucket.flag(""))
	get(t, server, "slow", "/blobs/"+blob.Digest, acme.auth()).Want(t, http.StatusOK)
	bucket.await(t, blob.Digest)
	damaged := bytes.Clone(blob.Content)
	damaged[1<<20] ^= 1
	if err := os.WriteFile(keptIn(filepath.Join(bucket.dir, "images"), blob.Digest), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	answer, err := harness.Try(t.Context(), http.DefaultClient, harness.Request{
		Method: http.MethodGet, URL: "http://" + server.Images + "/v2/" + name("slow") + "/blobs/" + blob.Digest, Header: acme.auth(),
	})
	if err == nil {
		t.Errorf("%d bytes look whole", len(answer.Body))
	}
	server.AwaitLog(t, "a damaged object was removed from the cache", 1)
	if got := get(t, server, "slow", "/blobs/"+blob.Digest, acme.auth()).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Error("the next one gets it damaged as well")
	}
}

// TestBucketOfSignedURLs: a client is sent to the bucket, which gives it the blob without a credential and for a
// minute. Who has no license is not sent there.
func TestBucketOfSignedURLs(t *testing.T) {
	t.Parallel()
	bucket := startBucket(t, t.TempDir(), "")
	blob := harness.NewBlob(1 << 20)
	registry := newSlow(t, blob)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	server := v.onBucket(bucket.flag("&signed_urls=true"))
	path := "/blobs/" + blob.Digest
	if got := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Error("the first one gets something else")
	}
	bucket.await(t, blob.Digest)
	location := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusTemporaryRedirect).Header.Get("Location")
	signed, err := url.Parse(location)
	if err != nil || signed.Host != bucket.address || signed.Query().Get("X-Amz-Expires") != "60" {
		t.Fatalf("sent to %s, %v", location, err)
	}
	if got := harness.Call(t, harness.Request{Method: http.MethodGet, URL: location}).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Error("the bucket has something else")
	}
	query := signed.Query()
	query.Set("X-Amz-Expires", "6000")
	signed.RawQuery = query.Encode()
	for _, forged := range []string{signed.String(), "http://" + bucket.address + signed.Path} {
		harness.Call(t, harness.Request{Method: http.MethodGet, URL: forged}).Want(t, http.StatusForbidden)
	}
	if got := get(t, server, "slow", path, basic("none")); got.Status != http.StatusUnauthorized || got.Header.Get("Location") != "" {
		t.Errorf("a stranger is answered %d", got.Status)
	}
	acme.revoke()
	bucket.Kill(t)
	other := v.license("other")
	harness.Eventually(t, "the other license is in force", func(context.Context) error {
		if got := look(t, server, blob.Digest, other.auth()); got != http.StatusOK {
			return http.ErrNotSupported
		}
		return nil
	})
	if got := get(t, server, "slow", path, other.auth()).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Error("without the bucket: something else")
	}
}

// TestBucketOfAnExpiredURL: the bucket refuses it after its minute.
func TestBucketOfAnExpiredURL(t *testing.T) {
	t.Parallel()
	bucket := startBucket(t, t.TempDir(), "")
	blob := harness.NewBlob(1 << 10)
	registry := newSlow(t, blob)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	server := v.onBucket(bucket.flag("&signed_urls=true"))
	path := "/blobs/" + blob.Digest
	get(t, server, "slow", path, acme.auth()).Want(t, http.StatusOK)
	bucket.await(t, blob.Digest)
	location := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusTemporaryRedirect).Header.Get("Location")
	harness.Call(t, harness.Request{Method: http.MethodGet, URL: location}).Want(t, http.StatusOK)
	harness.Eventually(t, "the URL expires", func(ctx context.Context) error {
		answer, err := harness.Try(ctx, http.DefaultClient, harness.Request{Method: http.MethodGet, URL: location})
		if err == nil && answer.Status != http.StatusForbidden {
			err = fmt.Errorf("answered %d", answer.Status)
		}
		return err
	})
	follow := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusTemporaryRedirect).Header.Get("Location")
	harness.Call(t, harness.Request{Method: http.MethodGet, URL: follow}).Want(t, http.StatusOK)
}
