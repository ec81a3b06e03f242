// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// Licenses shows how many licenses end soon. Revoked ones do not count, and neither do those that have ended.
func (i *ImageProxy) Licenses(all func() iter.Seq[*catalog.License]) {
	i.registry.MustRegister(licenses{all, prometheus.NewDesc("lsp_image_licenses_ending",
		"Licenses in force that end within 7 or 14 days.", []string{"within"}, nil)})
}

// licenses is a collector that looks at each license once for an answer.
type licenses struct {
	all    func() iter.Seq[*catalog.License]
	ending *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (l licenses) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- l.ending }

// Collect implements [prometheus.Collector].
func (l licenses) Collect(series chan<- prometheus.Metric) {
	const week = 7 * 24 * time.Hour
	now, within7d, within14d := time.Now(), 0, 0
	for license := range l.all() {
		if license.Revoked || !license.Expires.After(now) {
			continue
		}
		if license.Expires.Before(now.Add(week)) {
			within7d++
		}
		if license.Expires.Before(now.Add(2 * week)) {
			within14d++
		}
	}
	series <- prometheus.MustNewConstMetric(l.ending, prometheus.GaugeValue, float64(within7d), "7d")
	series <- prometheus.MustNewConstMetric(l.ending, prometheus.GaugeValue, float64(within14d), "14d")
}
