// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
)

// ImageProxy counts what happens at the image proxy. Applications and customers are labels, because the
// vendor names them; nothing that a client sends is. It is safe for concurrent use.
type ImageProxy struct {
	*Metrics
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	denials  *prometheus.CounterVec
	objects  *prometheus.GaugeVec
}

// Images adds the metrics of the image proxy.
func (m *Metrics) Images() *ImageProxy {
	i := &ImageProxy{
		Metrics: m,
		requests: counter("lsp_image_requests_total", "Requests for images, by application and customer (empty: no license was found), action and status of the answer.",
			"app", "customer", "action", "status"),
		bytes: counter("lsp_image_bytes_total", "Bytes of images sent, by application and customer.", "app", "customer"),
		denials: counter("lsp_image_denials_total",
			"Requests for images that were denied, by application, customer and reason.", "app", "customer", "reason"),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lsp_image_objects",
			Help: "Licenses and external registries, by kind and state: valid, or invalid and not in force.",
		}, []string{"kind", "state"}),
	}
	m.registry.MustRegister(i.requests, i.bytes, i.denials, i.objects)
	// Series that alerts look at exist from the start.
	for _, reason := range []imageproxy.Reason{
		imageproxy.RateLimited, imageproxy.UnknownLicense, imageproxy.Expired, imageproxy.Revoked, imageproxy.OtherApp,
		imageproxy.RegistryUnknown, imageproxy.RegistryClosed, imageproxy.RepositoryClosed, imageproxy.NotLicensed,
		imageproxy.UpstreamRefused,
	} {
		i.denials.WithLabelValues("", "", string(reason))
	}
	m.requests.WithLabelValues(imageproxy.Side, "manifest-get", "500")
	i.Objects("License", 0, 0)
	i.Objects("ExternalRegistry", 0, 0)
	return i
}

// Pulled implements [imageproxy.Recorder].
func (i *ImageProxy) Pulled(r imageproxy.Record) {
	i.requests.WithLabelValues(r.App, r.Customer, string(r.Action), strconv.Itoa(r.Status)).Inc()
	i.bytes.WithLabelValues(r.App, r.Customer).Add(float64(r.Bytes))
	if r.Reason != "" {
		i.denials.WithLabelValues(r.App, r.Customer, string(r.Reason)).Inc()
	}
}

// TokenFetch counts a token that the image proxy did not get as "denied". Customers choose the repositories,
// and a name that does not exist is refused as well (quirk D13). That the credential itself is refused shows
// in the denials.
func (i *ImageProxy) TokenFetch(result string) {
	if result == "refused" {
		result = "denied"
	}
	i.Metrics.TokenFetch(result)
}

// Objects notes how many objects of a kind there are.
func (i *ImageProxy) Objects(kind string, valid, invalid int) {
	i.objects.WithLabelValues(kind, "valid").Set(float64(valid))
	i.objects.WithLabelValues(kind, "invalid").Set(float64(invalid))
}
