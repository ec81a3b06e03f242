// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/local-source-proxy/local-source-proxy/src/internal/check"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
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

type loaded struct {
	settings    settings.Settings
	credentials keychain.Keychain
}

func (s Sources) load() (loaded, error) {
	values, err := s.values()
	if err != nil {
		return loaded{}, err
	}
	now := values.Resolve()
	var config *dockerconfig.Config
	if s.DockerConfig != "" {
		data, err := os.ReadFile(s.DockerConfig)
		if err != nil {
			return loaded{}, fmt.Errorf("--docker-config: %w", err)
		}
		if config, err = dockerconfig.Parse(s.DockerConfig, data); err != nil {
			return loaded{}, err
		}
	}
	return loaded{now, credentials(config, now.Repository)}, nil
}

func (s Sources) values() (settings.Values, error) {
	if s.ValuesFile == "" {
		return settings.Values{}, nil
	}
	data, err := os.ReadFile(s.ValuesFile)
	if err != nil {
		return settings.Values{}, fmt.Errorf("--values-file: %w", err)
	}
	return settings.Parse(s.ValuesFile, data)
}

// Check goes the way of a push with these settings and reports each step.
func Check(ctx context.Context, sources Sources, report func(check.Step)) error {
	v, err := sources.load()
	if err == nil {
		err = v.settings.Problem
	}
	var up *upstream.Registry
	if err == nil {
		u := connect(v.settings, upstream.Config{Keychain: v.credentials})
		up, err = u.Registry, u.Problem
	}
	if err != nil {
		for _, problem := range flatten(err) {
			report(check.Step{Name: "settings", Result: check.Failed, Detail: problem.Error()})
		}
		return check.ErrFailed
	}
	report(check.Step{Name: "settings", Result: check.OK, Detail: "pushes go to " + up.Host() + "/" + v.settings.Repository})
	return check.Push(ctx, up, v.settings.Repository, report)
}

// flatten gives the errors that were joined.
func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}
