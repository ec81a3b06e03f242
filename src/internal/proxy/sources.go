// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

// Sources are where the settings come from.
type Sources struct {
	// ValuesFile has the package's values.
	ValuesFile string
	// DockerConfig is a docker config.json.
	DockerConfig string
	// PushSecret is the name of a Secret with one, in Namespace.
	PushSecret, Namespace string
}

// UsageError is a mistake in how the program was called, as opposed to one in what it was given.
type UsageError struct{ error }

// cluster returns a side's client of the cluster that this process runs in; nil outside of one.
func (s Sources) cluster(
	connect func(namespace string, logger *slog.Logger) (*kube.Client, error), logger *slog.Logger,
) (*kube.Client, error) {
	if !kube.InCluster() {
		if s.Namespace != "" {
			return nil, UsageError{errors.New("--namespace is for a server in a cluster: leave it out here")}
		}
		return nil, nil
	}
	namespace := s.Namespace
	if namespace == "" {
		own, err := kube.Namespace()
		if err != nil {
			return nil, fmt.Errorf("find out the pod's namespace: %w", err)
		}
		namespace = own
	}
	client, err := connect(namespace, logger)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return client, nil
}

// feed returns what reads the sources: Secrets as well, when this process runs in a cluster.
func (s Sources) feed(cluster *kube.Client) (settings.Sources, error) {
	cfg := settings.Sources{ValuesFile: s.ValuesFile, DockerConfigFile: s.DockerConfig, PushSecret: s.PushSecret,
		Cluster: cluster}
	if err := cfg.Check(); err != nil {
		return cfg, UsageError{err}
	}
	return cfg, nil
}
