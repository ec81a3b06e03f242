// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// storage is a kind of bucket: S3's, in a server over a directory, or Azure's, in its emulator.
type storage struct {
	name  string
	start func(t *testing.T, dir, address string) *harness.Process
	// flag is the URL of a cache in the bucket at an address.
	flag        func(address string) string
	environment []string
	// expires is the part of a signed URL that says when it ends, and later another end.
	expires, later string
	// open makes the bucket, if need be.
	open func(t *testing.T, b *bucket) objects
}

// objects are those of a bucket, past the server under test.
type objects interface {
	look(ctx context.Context, key string) error
	replace(ctx context.Context, key string, content []byte) error
}

// The account of Azure's emulator and its key are the same everywhere.
const (
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

func storages() []storage {
	return []storage{
		{
			name: "S3", start: startVersity, open: openDirectory, expires: "X-Amz-Expires", later: "6000",
			flag: func(address string) string {
				return "s3://images?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape("http://"+address)
			},
			environment: []string{"AWS_ACCESS_KEY_ID=the-access-key", "AWS_SECRET_ACCESS_KEY=the-secret-key"},
		},
		{
			name: "Azure", start: startAzurite, open: openContainer, expires: "se", later: "2100-01-01T00:00:00Z",
			flag: func(address string) string {
				return "azblob://images?endpoint=" + url.QueryEscape("http://"+address+"/"+azureAccount)
			},
			environment: []string{"AZURE_STORAGE_ACCOUNT=" + azureAccount, "AZURE_STORAGE_KEY=" + azureKey},
		},
	}
}

// bucket is one of a real server.
type bucket struct {
	storage
	*harness.Process
	objects      objects
	address, dir string
}

// everyBucket runs a test with one of each kind.
func everyBucket(t *testing.T, test func(t *testing.T, b *bucket)) {
	t.Helper()
	for _, kind := range storages() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			b := &bucket{storage: kind, dir: t.TempDir(), address: harness.FreeAddress(t)}
			b.begin(t)
			b.objects = kind.open(t, b)
			test(t, b)
		})
	}
}

// begin starts the server, for the first time or again.
func (b *bucket) begin(t *testing.T) {
	t.Helper()
	b.Process = b.start(t, b.dir, b.address)
	harness.Eventually(t, "the bucket answers", func(ctx context.Context) error {
		_, err := harness.Try(ctx, http.DefaultClient, harness.Request{Method: http.MethodGet, URL: "http://" + b.address + "/"})
		return err
	})
}

// await waits until the bucket has a blob.
func (b *bucket) await(t *testing.T, digest string) {
	t.Helper()
	harness.Eventually(t, "the blob is kept", func(ctx context.Context) error { return b.objects.look(ctx, keptIn("", digest)) })
}

// serve starts a server that has the bucket's keys and a cache there.
func (b *bucket) serve(v *vendor, query string) *harness.Server {
	v.t.Helper()
	return v.onBucket(b.flag(b.address)+query, b.environment...)
}

// onBucket starts a server with a cache at a URL.
func (v *vendor) onBucket(cache string, environment ...string) *harness.Server {
	v.t.Helper()
	return harness.Start(v.t, harness.Options{
		Flags:       []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + v.dir, "--image-proxy-cache=" + cache},
		Environment: environment,
		Secrets:     append([]string{"the-secret-key", azureKey, harness.Password}, v.ids...),
	})
}

func startVersity(t *testing.T, dir, address string) *harness.Process {
	t.Helper()
	program := os.Getenv("LSP_TOOL_VERSITYGW")
	if program == "" {
		t.Skip("make clients-test builds the S3 server: LSP_TOOL_VERSITYGW is not set")
	}
	buckets, beside := filepath.Join(dir, "buckets"), filepath.Join(dir, "attributes") // not every file system has attributes
	for _, made := range []string{filepath.Join(buckets, "images"), beside} {
		if err := os.MkdirAll(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return harness.StartProcess(t, "versitygw", exec.Command(program, "--port", address, "--access", "the-access-key",
		"--secret", "the-secret-key", "--quiet", "posix", "--sidecar", beside, buckets))
}

func startAzurite(t *testing.T, dir, address string) *harness.Process {
	t.Helper()
	program := os.Getenv("LSP_TOOL_AZURITE")
	if program == "" {
		t.Skip("make clients-test installs Azure's emulator where there is Node.js: LSP_TOOL_AZURITE is not set")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return harness.StartProcess(t, "azurite", exec.Command("node", program, "--blobHost", host, "--blobPort", port,
		"--location", dir, "--silent", "--skipApiVersionCheck", "--disableTelemetry"))
}

// directory has a bucket's objects as files.
type directory string

func openDirectory(_ *testing.T, b *bucket) objects {
	return directory(filepath.Join(b.dir, "buckets", "images"))
}

func (d directory) look(_ context.Context, key string) error {
	_, err := os.Stat(filepath.Join(string(d), key))
	return err
}

func (d directory) replace(_ context.Context, key string, content []byte) error {
	return os.WriteFile(filepath.Join(string(d), key), content, 0o600)
}

// azure is a container, by the library of its maker.
type azure struct{ *container.Client }

func openContainer(t *testing.T, b *bucket) objects {
	t.Helper()
	key, err := container.NewSharedKeyCredential(azureAccount, azureKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential("http://"+b.address+"/"+azureAccount+"/images", key, nil)
	if err == nil {
		_, err = client.Create(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return azure{client}
}

func (a azure) look(ctx context.Context, key string) error {
	_, err := a.NewBlobClient(key).GetProperties(ctx, nil)
	return err
}

func (a azure) replace(ctx context.Context, key string, content []byte) error {
	_, err := a.NewBlockBlobClient(key).Upload(ctx, streaming.NopCloser(bytes.NewReader(content)), nil)
	return err
}
