// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
)

// Transfers shows a side's places for transfers.
func (m *Metrics) Transfers(side string, transfers *httpserver.Transfers) {
	type counts = httpserver.TransferCounts
	of := places[counts]{side, transfers.Counts}
	m.registry.MustRegister(
		of.gauge("lsp_transfers_limit", "Transfers that the memory limit holds at once, by door.",
			func(c counts) int { return c.Places }),
		of.gauge("lsp_transfers_in_flight", "Requests that are being forwarded, by door.",
			func(c counts) int { return c.InFlight }),
		of.gauge("lsp_transfers_waiting", "Requests that wait for a place among the transfers in flight, by door.",
			func(c counts) int { return c.Waiting }),
		of.counter("lsp_transfers_refused_total", "Requests that got no place among the transfers in flight, by door.",
			func(c counts) int { return c.Refused }),
	)
}

// Connections shows a side's places for connections.
func (m *Metrics) Connections(side string, connections *httpserver.Connections) {
	type counts = httpserver.ConnectionCounts
	of := places[counts]{side, connections.Counts}
	m.registry.MustRegister(
		of.gauge("lsp_connections_limit", "Connections that the memory limit holds at once, by door.",
			func(c counts) int { return c.Places }),
		of.gauge("lsp_connections_open", "Open connections of clients, by door.",
			func(c counts) int { return c.Open }),
		of.gauge("lsp_connections_idle", "Open connections that serve no request, by door.",
			func(c counts) int { return c.Idle }),
		of.counter("lsp_connections_gave_way_total", "Idle connections that were closed for newer ones, by door.",
			func(c counts) int { return c.GaveWay }),
		of.counter("lsp_connections_refused_total",
			"Connections that were closed because their address had too many, by door.",
			func(c counts) int { return c.Refused }),
	)
}

// places makes the series of what a side counts itself.
type places[C any] struct {
	side   string
	counts func() C
}

func (p places[C]) gauge(name, help string, of func(C) int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts(p.opts(name, help)), p.value(of))
}

func (p places[C]) counter(name, help string, of func(C) int) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts(p.opts(name, help)), p.value(of))
}

func (p places[C]) opts(name, help string) prometheus.Opts {
	return prometheus.Opts{Name: name, Help: help, ConstLabels: prometheus.Labels{"door": p.side}}
}

func (p places[C]) value(of func(C) int) func() float64 {
	return func() float64 { return float64(of(p.counts())) }
}
