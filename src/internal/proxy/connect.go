// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"sync/atomic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// embeddedRepository is where pushes go in the registry in this process.
const embeddedRepository = "source"

// connector turns settings into the upstream that is in force.
type connector struct {
	cfg      Config
	embedded string
	observer upstream.Observer
	upstream atomic.Pointer[source.Upstream]
}

// apply puts settings in force with the next request. Requests under way keep what they began with.
func (c *connector) apply(s settings.Settings, credentials keychain.Keychain) {
	if c.embedded != "" {
		s.Registry, s.Repository, s.PlainHTTP, s.Problem = c.embedded, embeddedRepository, true, nil
	}
	before := c.upstream.Swap(connect(s, upstream.Config{
		Keychain:      credentials,
		PassRedirects: c.cfg.PassRedirects,
		UserAgent:     "local-source-proxy/" + c.cfg.Version,
		Observer:      c.observer,
	}))
	if before != nil && before.Registry != nil {
		before.Registry.Close()
	}
}

func connect(s settings.Settings, cfg upstream.Config) *source.Upstream {
	up := &source.Upstream{
		Problem:              s.Problem,
		Repository:           s.Repository,
		AllowPull:            s.AllowPull,
		AllowDelete:          s.AllowDelete,
		AllowSubRepositories: s.AllowSubRepositories,
	}
	if s.Problem != nil {
		return up
	}
	cfg.Host, cfg.PlainHTTP, cfg.CACertData = s.Registry, s.PlainHTTP, s.CACertData
	up.Registry, up.Problem = upstream.New(cfg)
	return up
}

// credentials finds the credential for a repository: in the docker config, or else in the identity that a cloud gives the machine.
func credentials(config *dockerconfig.Config, repository string) keychain.Keychain {
	if config == nil {
		return ambient.New()
	}
	return keychain.Chain(config.Repository(repository), ambient.New())
}

func (c *connector) follow(context.Context, func(string)) error {
	v, err := c.cfg.Sources.load()
	if err != nil {
		return err
	}
	c.apply(v.settings, v.credentials)
	return nil
}
