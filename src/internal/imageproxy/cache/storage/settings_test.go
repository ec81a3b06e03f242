// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache/storage"
)

func TestParseURL(t *testing.T) {
	const day = 24 * time.Hour
	for url, want := range map[string]cache.Policy{
		"file:///var/cache":                                     {Stale: day},
		"file:///var/cache?size=20GiB":                          {Stale: day},
		"file:///var/cache?size=20Gi&stale=0":                   {},
		"file:///with%20space?size=1MiB":                        {Stale: day},
		"mem://":                                                {Stale: day},
		"mem://?size=64MiB&strict=true":                         {Stale: day, Strict: true},
		"s3://bucket?region=eu-central-1&signed_urls=true":      {Stale: day, SignedURLs: true},
		"s3://bucket?stale=90m&strict=1&use_path_style=true":    {Stale: 90 * time.Minute, Strict: true},
		"gs://bucket?signed_urls=false":                         {Stale: day},
		"azblob://container?stale=0s":                           {},
		"s3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A9000%2F": {Stale: day},
	} {
		if got, err := storage.ParseURL(url); err != nil || got.Policy != want {
			t.Errorf("%s is %+v, %v", url, got.Policy, err)
		}
	}
	for url, problem := range map[string]string{
		"":                                 "it must be a URL",
		"/var/cache":                       "it must be a URL",
		"var/cache":                        "it must be a URL",
		"file://var/cache":                 "three slashes",
		"file://":                          "three slashes",
		"http://host/cache":                `"http"`,
		"redis://host":                     "use file, mem, s3, gs or azblob",
		"s3://":                            "the bucket's name is missing",
		"s3:///key":                        "the bucket's name is missing",
		"file:///c?size=0":                 "size=0: it must be 1MiB or more",
		"file:///c?size=-1GiB":             "it must be 1MiB or more",
		"file:///c?size=1023KiB":           "it must be 1MiB or more",
		"file:///c?size=big":               "write a number with a unit",
		"file:///c?size=":                  "write a number with a unit",
		"file:///c?size=20GB&colour=blue":  `no parameter "colour"`,
		"mem://?signed_urls=true":          "only a bucket has URLs to sign",
		"file:///c?signed_urls=maybe":      "write true or false",
		"s3://b?size=1GiB":                 "a bucket has no size here",
		"s3://b?stale=-1h":                 "write a duration",
		"s3://b?stale=1d":                  "write a duration",
		"s3://b?stale=24":                  "write a duration",
		"s3://b?strict=yes":                "write true or false",
		"file:///c?size=1GiB;stale=1h":     "the query of the URL",
		"file:///c?%zz":                    "the query of the URL",
		"mem://?stale=1h&stale=2h&strict=": "strict=: write true or false",
	} {
		if got, err := storage.ParseURL(url); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s is %+v, %v; want an error with %q", url, got.Policy, err, problem)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, url := range []string{"file:///c?size=1GiB", "mem://", "s3://b?stale=1h&signed_urls=true", "gs://b?%", "azblob:?size"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		if got, err := storage.ParseURL(url); err == nil && got.Stale < 0 {
			t.Errorf("%q: stale is %s", url, got.Stale)
		}
	})
}
