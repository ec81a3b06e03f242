// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestBucketOfTwoReplicas: what one has pulled the other has. A bucket that cannot be reached is no customer's
// trouble, and one that is back is used again by the next start.
func TestBucketOfTwoReplicas(t *testing.T) {
	t.Parallel()
	everyBucket(t, bucketOfTwoReplicas)
}

func bucketOfTwoReplicas(t *testing.T, bucket *bucket) {
	t.Helper()
	blobs := []harness.Blob{harness.NewBlob(100), harness.NewBlob(3 << 20), harness.NewBlob(70 << 20)} // the last in two parts
	registry := newSlow(t, blobs...)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	one, two := bucket.serve(v, ""), bucket.serve(v, "")
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

	bucket.Stop(t)
	var clients sync.WaitGroup
	for _, server := range []*harness.Server{one, two} {
		clients.Go(func() { acme.pullAll(t, server, 5, blobs...) })
	}
	clients.Wait()
	one.AwaitLog(t, "the cache's storage failed", 1)

	bucket.begin(t)
	before = asked()
	again := bucket.serve(v, "")
	pull(again, blobs[1])
	if asked() != before {
		t.Error("the registry was asked for what the bucket has again")
	}
}

// TestBucketOfADamagedBlob: nobody gets it whole, and it is replaced.
func TestBucketOfADamagedBlob(t *testing.T) {
	t.Parallel()
	everyBucket(t, bucketOfADamagedBlob)
}

func bucketOfADamagedBlob(t *testing.T, bucket *bucket) {
	t.Helper()
	blob := harness.NewBlob(3 << 20)
	registry := newSlow(t, blob)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	server := bucket.serve(v, "")
	get(t, server, "slow", "/blobs/"+blob.Digest, acme.auth()).Want(t, http.StatusOK)
	bucket.await(t, blob.Digest)
	damaged := bytes.Clone(blob.Content)
	damaged[1<<20] ^= 1
	if err := bucket.objects.replace(t.Context(), keptIn("", blob.Digest), damaged); err != nil {
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
	everyBucket(t, bucketOfSignedURLs)
}

func bucketOfSignedURLs(t *testing.T, bucket *bucket) {
	t.Helper()
	blob := harness.NewBlob(1 << 20)
	registry := newSlow(t, blob)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	server := bucket.serve(v, "&signed_urls=true")
	path := "/blobs/" + blob.Digest
	if got := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Error("the first one gets something else")
	}
	bucket.await(t, blob.Digest)
	location := get(t, server, "slow", path, acme.auth()).Want(t, http.StatusTemporaryRedirect).Header.Get("Location")
	signed, err := url.Parse(location)
	if err != nil || signed.Host != bucket.address || !signed.Query().Has(bucket.expires) {
		t.Fatalf("sent to %s, %v", location, err)
	}
	if got := harness.Call(t, harness.Request{Method: http.MethodGet, URL: location}).Want(t, http.StatusOK); !bytes.Equal(got.Body, blob.Content) {
		t.Error("the bucket has something else")
	}
	query := signed.Query()
	query.Set(bucket.expires, bucket.later)
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
	everyBucket(t, bucketOfAnExpiredURL)
}

func bucketOfAnExpiredURL(t *testing.T, bucket *bucket) {
	t.Helper()
	blob := harness.NewBlob(1 << 10)
	registry := newSlow(t, blob)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	server := bucket.serve(v, "&signed_urls=true")
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
