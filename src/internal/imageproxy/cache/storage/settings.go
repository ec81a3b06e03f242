// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

// Settings say where content is kept, and how it may be served.
type Settings struct {
	cache.Policy
	// url is without what this package reads of its query.
	url *url.URL
	// size is how many bytes a directory or memory may take; 0 for buckets, which have rules of their own.
	size int64
}

// What holds where a setting is missing.
const (
	defaultStale      = 24 * time.Hour
	defaultSize       = 10 << 30
	defaultMemorySize = 64 << 20
	// minSize has room for the parts of an ordinary image.
	minSize = 1 << 20
)

// Schemes of the storage's URL.
const (
	schemeDirectory = "file"
	schemeMemory    = "mem"
	schemeS3        = "s3"
	schemeGoogle    = "gs"
	schemeAzure     = "azblob"
)

// ParseURL reads the URL of a storage: file:///directory?size=20GiB, mem://?size=64MiB, s3://bucket?region=…,
// gs://bucket or azblob://container. Its query may have "stale" (a duration), "strict" and "signed_urls" (true
// or false) besides. Every other parameter is the storage's own.
func ParseURL(text string) (Settings, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return Settings{}, errors.New("it must be a URL, such as file:///var/cache/images?size=20GiB or s3://bucket?region=eu-central-1")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Settings{}, fmt.Errorf("the query of the URL: %w", err)
	}
	s := Settings{url: u, Policy: cache.Policy{Stale: defaultStale}}
	bounded := false
	switch u.Scheme {
	case schemeDirectory:
		bounded, s.size = true, defaultSize
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return Settings{}, errors.New("a directory needs its whole path, with three slashes: file:///var/cache/images")
		}
	case schemeMemory:
		bounded, s.size = true, defaultMemorySize
	case schemeS3, schemeGoogle, schemeAzure:
		if u.Host == "" {
			return Settings{}, fmt.Errorf("the bucket's name is missing: %s://BUCKET", u.Scheme)
		}
		if u.Path != "" && u.Path != "/" {
			return Settings{}, fmt.Errorf("the cache takes a whole bucket: write %s://%s, without %s", u.Scheme, u.Host, u.Path)
		}
	default:
		return Settings{}, fmt.Errorf("%q is no storage that it knows: use file, mem, s3, gs or azblob", u.Scheme)
	}
	err = cmp.Or(
		take(query, "size", func(text string) error { return s.setSize(text, bounded) }),
		take(query, "stale", func(text string) (err error) { s.Stale, err = parseStale(text); return err }),
		take(query, "strict", func(text string) (err error) { s.Strict, err = parseBool(text); return err }),
		take(query, "signed_urls", func(text string) error { return s.setSignedURLs(text, bounded) }),
	)
	if err == nil && bounded && len(query) > 0 {
		for name := range query {
			err = fmt.Errorf("it has no parameter %q", name)
		}
	}
	u.RawQuery = query.Encode()
	return s, err
}

// take hands one parameter of a query over, and removes it.
func take(query url.Values, name string, set func(string) error) error {
	if !query.Has(name) {
		return nil
	}
	text := query.Get(name)
	query.Del(name)
	if err := set(text); err != nil {
		return fmt.Errorf("%s=%s: %w", name, text, err)
	}
	return nil
}

func (s *Settings) setSize(text string, bounded bool) error {
	if !bounded {
		return errors.New("a bucket has no size here: give it a lifecycle rule that removes what is old")
	}
	quantity, err := resource.ParseQuantity(trimByte(text))
	if err != nil {
		return errors.New("write a number with a unit, such as 20GiB")
	}
	if s.size = quantity.Value(); s.size < minSize {
		return errors.New("it must be 1MiB or more")
	}
	return nil
}

// trimByte takes the B off a unit, which Kubernetes writes without.
func trimByte(text string) string {
	if last := len(text) - 1; last > 0 && text[last] == 'B' {
		return text[:last]
	}
	return text
}

func parseStale(text string) (time.Duration, error) {
	stale, err := time.ParseDuration(text)
	if err != nil || stale < 0 {
		return 0, errors.New("write a duration, such as 24h; 0 turns it off")
	}
	return stale, nil
}

func parseBool(text string) (bool, error) {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("write true or false")
	}
	return value, nil
}

func (s *Settings) setSignedURLs(text string, bounded bool) (err error) {
	s.SignedURLs, err = parseBool(text)
	if err == nil && s.SignedURLs && bounded {
		return errors.New("only a bucket has URLs to sign")
	}
	return err
}
