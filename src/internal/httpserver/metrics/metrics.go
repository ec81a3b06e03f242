// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
)

// Metrics implements the observers of the other packages. It is safe for concurrent use.
type Metrics struct {
	byNamespace bool

	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	uploads  *prometheus.GaugeVec
	upstream *prometheus.HistogramVec
	tokens   *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	inForce  *prometheus.GaugeVec
}

// Options are what is measured on request only.
type Options struct {
	// ByNamespace counts requests of the namespaced API by namespace as well. Each namespace is a series for
	// every operation and status.
	ByNamespace bool
}

// scrapes is how many requests for the metrics are answered at once; further ones are 503. All series of an
// answer are in memory.
const scrapes = 4

// New makes the metrics, with those of the process and of the Go runtime.
func New(version string, options Options) *Metrics {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	requests := []string{"door", "operation", "status"}
	if options.ByNamespace {
		requests = append(requests, "source_namespace")
	}
	m := &Metrics{
		byNamespace: options.ByNamespace,

		registry: prometheus.NewRegistry(),
		requests: counter("lsp_requests_total", "Requests, by door, operation and status of the answer; with --api-metrics-by-namespace also by source_namespace.", requests...),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lsp_request_duration_seconds",
			Help: "Time from a request's header to the end of the answer, in seconds.", Buckets: seconds,
		}, []string{"door", "operation"}),
		bytes: counter("lsp_request_bytes_total",
			"Bytes of bodies, by door and direction: in from clients, out to them.", "door", "direction"),
		uploads: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lsp_uploads_in_flight", Help: "Requests under way that upload content, by side.",
		}, []string{"door"}),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lsp_upstream_request_duration_seconds", Help: "Time from a request to the registry to the header of its answer, body sent included, in seconds; status 0: no answer, 499: the client went away.", Buckets: seconds,
		}, []string{"operation", "status"}),
		tokens:  counter("lsp_token_fetches_total", "Tokens asked of the registry's token server, by result: ok, refused, denied (for a repository that a customer named), error.", "result"),
		reloads: counter("lsp_settings_reloads_total", "Changes of the settings, by result: applied, refused.", "result"),
		inForce: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lsp_settings_in_force", Help: "1 while what was read last is in force, 0 while it is refused: values, docker_config, session_keys, token_keys, certificate, api_certificate, front_proxy.",
		}, []string{"settings"}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lsp_build_info", Help: "1, with the version as a label.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.requests, m.duration, m.bytes, m.uploads, m.upstream, m.tokens, m.reloads, m.inForce, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// Series that alerts look at exist from the start.
	for _, result := range []string{"applied", "refused"} {
		m.reloads.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "refused", "error"} {
		m.tokens.WithLabelValues(result)
	}
	m.upstream.WithLabelValues("ping", "0")
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes})
}

// RequestStarted implements [httpserver.Recorder].
func (m *Metrics) RequestStarted(e *httpserver.Entry) {
	if uploads(e.Operation) {
		m.uploads.WithLabelValues(e.Side).Inc()
	}
}

// RequestFinished implements [httpserver.Recorder].
func (m *Metrics) RequestFinished(e *httpserver.Entry, started bool) {
	if started && uploads(e.Operation) {
		m.uploads.WithLabelValues(e.Side).Dec()
	}
	operation := e.Operation
	if operation == "" {
		operation = "unknown"
	}
	m.requestsOf(e.Side, operation, strconv.Itoa(e.Status), e.Namespace).Inc()
	m.duration.WithLabelValues(e.Side, operation).Observe(e.Duration.Seconds())
	m.bytes.WithLabelValues(e.Side, "in").Add(float64(e.In))
	m.bytes.WithLabelValues(e.Side, "out").Add(float64(e.Out))
}

func (m *Metrics) requestsOf(side, operation, status, namespace string) prometheus.Counter {
	if m.byNamespace {
		return m.requests.WithLabelValues(side, operation, status, namespace)
	}
	return m.requests.WithLabelValues(side, operation, status)
}

func uploads(operation string) bool {
	switch operation {
	case "upload-start", "upload-chunk", "upload-finish", "manifest-put":
		return true
	default:
		return false
	}
}

// UpstreamRequest implements the observer of package upstream.
func (m *Metrics) UpstreamRequest(operation string, status int, elapsed time.Duration) {
	m.upstream.WithLabelValues(operation, strconv.Itoa(status)).Observe(elapsed.Seconds())
}

// TokenFetch implements the observer of package upstream.
func (m *Metrics) TokenFetch(result string) { m.tokens.WithLabelValues(result).Inc() }

// Reload counts a change of some settings, such as "values". One that was not applied is refused, and what was
// in force before stays.
func (m *Metrics) Reload(settings string, applied bool) {
	if applied {
		m.reloads.WithLabelValues("applied").Inc()
		m.InForce(settings)
		return
	}
	m.reloads.WithLabelValues("refused").Inc()
	m.inForceOf(settings).Set(0)
}

// InForce notes that what was read last of some settings is in force.
func (m *Metrics) InForce(settings string) { m.inForceOf(settings).Set(1) }

// inForceOf returns the series of some settings: "docker config" is docker_config there.
func (m *Metrics) inForceOf(settings string) prometheus.Gauge {
	return m.inForce.WithLabelValues(strings.ReplaceAll(settings, " ", "_"))
}

// Pushes makes the series of a side that takes pushes, which alerts look at before anybody has pushed.
func (m *Metrics) Pushes(side string) {
	for _, operation := range []string{"upload-start", "upload-chunk", "upload-finish", "manifest-put"} {
		m.requestsOf(side, operation, "403", "")
		m.requestsOf(side, operation, "500", "")
	}
}

// Certificate shows when a side's certificate in force ends.
func (m *Metrics) Certificate(side string, until func() time.Time) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "lsp_certificate_expires_timestamp_seconds",
		Help:        "When the certificate in force ends, in seconds since 1970, by door.",
		ConstLabels: prometheus.Labels{"door": side},
	}, func() float64 { return float64(until().Unix()) }))
}
