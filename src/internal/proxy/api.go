// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"

	"github.com/local-source-proxy/local-source-proxy/src/internal/apiservice"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
)

// What the package calls the parts of the namespaced API.
const (
	apiService = source.Version + "." + source.Group
	apiSecret  = "local-source-proxy-api-certificate"
	apiHost    = "local-source-proxy-api"
)

// API is what the command line says of the namespaced API.
type API struct {
	// Address of the API; empty: off.
	Address string
	// MetricsByNamespace counts requests by namespace, too.
	MetricsByNamespace bool
}

// check reports flags that do not go together.
func (a API) check(inCluster bool) error {
	switch {
	case a.Address == "" && a.MetricsByNamespace:
		return errors.New("--api-metrics-by-namespace needs --api-address: pass the address that the API server reaches")
	case a.Address != "" && !inCluster:
		return errors.New("--api-address is for a server in a cluster, behind its API server: leave it out here")
	default:
		return nil
	}
}

// openAPI opens the namespaced API of a source proxy. Its certificate and what is known of the API server are
// followed until the context ends, or stop is called.
func openAPI(
	ctx context.Context, cluster *kube.Client, cfg Config, proxy *source.Proxy, m *metrics.Metrics,
) (l httpserver.Listener, stop func(), err error) {
	followed, err := apiservice.Follow(ctx, apiservice.Config{
		Cluster: cluster, Name: apiService, Secret: apiSecret, Host: apiHost + "." + cluster.Namespace + ".svc",
		Reloaded: m.Reload, Log: cfg.Logger,
	})
	if err != nil {
		return l, nil, err
	}
	m.Certificate(source.APISide, followed.Until)
	return httpserver.Listener{
		Name: source.APISide, Address: cfg.API.Address, Setting: "--api-address", TLS: followed.TLS(),
		Connections: cfg.connections(source.APISide, nil, m),
		Handler: httpserver.AccessLog{Side: source.APISide, Logger: cfg.Logger, Recorder: m}.
			Handler(proxy.API(followed.Front).Serve),
	}, followed.Close, nil
}
