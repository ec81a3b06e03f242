// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Cache counts what the image proxy's cache does. It is safe for concurrent use.
type Cache struct {
	registry *prometheus.Registry
	answers  *prometheus.CounterVec
	fetched  prometheus.Counter
	sent     prometheus.Counter
	evicted  prometheus.Counter
	failures prometheus.Counter
}

// Cache adds the metrics of the image proxy's cache.
func (m *Metrics) Cache() *Cache {
	single := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	c := &Cache{
		registry: m.registry,
		answers: counter("lsp_cache_answers_total",
			"Answers of the image proxy's cache, by kind and result: hit, miss, shared, stale or bypass.", "kind", "result"),
		fetched:  single("lsp_cache_fetched_bytes_total", "Bytes of blobs that the cache has downloaded from registries."),
		sent:     single("lsp_cache_sent_bytes_total", "Bytes that were sent to clients in answers of the cache."),
		evicted:  single("lsp_cache_evictions_total", "Objects that had to leave the cache, because it is full."),
		failures: single("lsp_cache_storage_failures_total", "Failures of the cache's storage, and damaged objects in it."),
	}
	m.registry.MustRegister(c.answers, c.fetched, c.sent, c.evicted, c.failures)
	// Series that alerts look at exist from the start.
	for _, kind := range []oci.Kind{oci.Blob, oci.Manifest} {
		for _, result := range []cache.Result{cache.Hit, cache.Miss, cache.Shared, cache.Stale, cache.Bypass} {
			c.answers.WithLabelValues(string(kind), string(result))
		}
	}
	for _, kind := range []oci.Kind{oci.Tags, oci.Referrers} {
		c.answers.WithLabelValues(string(kind), string(cache.Stale))
	}
	return c
}

// Size shows how many bytes are kept, where that is known.
func (c *Cache) Size(of func() (bytes int64, known bool)) {
	if _, known := of(); !known {
		return
	}
	c.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lsp_cache_size_bytes", Help: "Bytes that the cache keeps in its directory or in memory.",
	}, func() float64 { bytes, _ := of(); return float64(bytes) }))
}

// CacheAnswered implements [cache.Observer].
func (c *Cache) CacheAnswered(kind oci.Kind, result cache.Result) {
	c.answers.WithLabelValues(string(kind), string(result)).Inc()
}

// CacheFetched implements [cache.Observer].
func (c *Cache) CacheFetched(bytes int) { c.fetched.Add(float64(bytes)) }

// CacheSent implements [cache.Observer].
func (c *Cache) CacheSent(bytes int64) { c.sent.Add(float64(bytes)) }

// CacheEvicted implements storage.Observer.
func (c *Cache) CacheEvicted() { c.evicted.Inc() }

// CacheFailed implements [cache.Observer].
func (c *Cache) CacheFailed() { c.failures.Inc() }
