// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/local-source-proxy/local-source-proxy/src/internal/feed"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
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

// feed gives what reads the sources: Secrets as well, when this process runs in a cluster.
func (s Sources) feed(logger *slog.Logger) (feed.Config, error) {
	cfg := feed.Config{ValuesFile: s.ValuesFile, DockerConfigFile: s.DockerConfig, PushSecret: s.PushSecret}
	if kube.InCluster() {
		namespace := s.Namespace
		if namespace == "" {
			own, err := kube.Namespace()
			if err != nil {
				return cfg, fmt.Errorf("find out the pod's namespace: %w", err)
			}
			namespace = own
		}
		client, err := kube.New(namespace, logger)
		if err != nil {
			return cfg, fmt.Errorf("connect to the cluster: %w", err)
		}
		cfg.Cluster = client
	} else if s.Namespace != "" {
		return cfg, UsageError{errors.New("--namespace has a meaning in a cluster only, and this process does not run in one")}
	}
	if err := cfg.Check(); err != nil {
		return cfg, UsageError{err}
	}
	return cfg, nil
}
