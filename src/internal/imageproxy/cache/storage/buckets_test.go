// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache/storage"
)

// silent counts nothing.
type silent struct{}

func (silent) CacheEvicted() {}
func (silent) CacheFailed()  {}

// TestABucketIsWhole: a path in its URL would be left out in silence.
func TestABucketIsWhole(t *testing.T) {
	for url, want := range map[string]string{
		"s3://images": "", "s3://images/": "", "azblob://images?storage_account=vendor": "",
		"s3://images/vendor":    "write s3://images, without /vendor",
		"gs://images/vendor/":   "write gs://images, without /vendor/",
		"azblob://images/a?b=c": "write azblob://images, without /a",
	} {
		_, err := storage.ParseURL(url)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// TestSigningTakesAKey: without one, every kept blob would be fetched from the registry again.
func TestSigningTakesAKey(t *testing.T) {
	for name, test := range map[string]struct {
		url  string
		env  map[string]string
		good bool
	}{
		"an account's key":          {"azblob://images?signed_urls=true", map[string]string{"AZURE_STORAGE_KEY": "a2V5"}, true},
		"a token for the container": {"azblob://images?signed_urls=true", map[string]string{"AZURE_STORAGE_SAS_TOKEN": "sig=a"}, false},
		"an identity, not signing":  {"azblob://images", nil, true},
		"an identity":               {"azblob://images?signed_urls=true", nil, false},
		"an HMAC key":               {"gs://images?signed_urls=true", map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, true},
		"a key of Amazon":           {"s3://images?signed_urls=true", map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AZURE_STORAGE_ACCOUNT", "vendor")
			for key, value := range test.env {
				t.Setenv(key, value)
			}
			settings, err := storage.ParseURL(test.url)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := storage.Open(t.Context(), settings, silent{}, slog.New(slog.DiscardHandler))
			if (err == nil) != test.good || err != nil && !strings.Contains(err.Error(), "signed_urls=true needs a key to sign with") {
				t.Errorf("opened: %v", err)
			}
			if err == nil {
				_ = opened.Close()
			}
		})
	}
}
