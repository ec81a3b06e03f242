// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// connector turns settings into the upstream that is in force.
type connector struct {
	upstream atomic.Pointer[source.Upstream]
	mu       sync.Mutex
}

// connectTo makes an upstream of the current settings, and another of every change of them, which is in force
// with the next request. Requests under way keep what they began with. place names the docker config in
// errors.
func connectTo(current *settings.Live, place string, cfg upstream.Config) *connector {
	c := &connector{}
	apply := func(*settings.Snapshot) {
		c.mu.Lock()
		defer c.mu.Unlock()
		before := c.upstream.Swap(connect(current.Current(), cfg, place))
		if before != nil && before.Registry != nil {
			before.Registry.Close()
		}
	}
	current.Subscribe(apply)
	apply(nil)
	return c
}

// connect makes the upstream that settings describe. It opens no connection.
func connect(now *settings.Snapshot, cfg upstream.Config, place string) *source.Upstream {
	s := now.Settings
	up := &source.Upstream{
		Problem:              s.Problem,
		Repository:           s.Repository,
		AllowPull:            s.AllowPull,
		AllowDelete:          s.AllowDelete,
		AllowSubRepositories: s.AllowSubRepositories,
		Tenancy:              source.Tenancy(s.Tenancy),
	}
	if s.Problem != nil {
		return up
	}
	cfg.Host, cfg.PlainHTTP, cfg.CACertData, cfg.TokenRealms = s.Registry, s.PlainHTTP, s.CACertData, s.TokenRealms
	cfg.Keychain = credentials(now, place)
	up.Registry, up.Problem = upstream.New(cfg)
	return up
}

// credentials finds the credential for the repository: in the docker config, or else in the identity that a
// cloud gives to the machine. A docker config that should be there and is not is an error for every request,
// and not a reason to go on as a stranger.
func credentials(now *settings.Snapshot, place string) keychain.Keychain {
	problem := now.DockerConfigProblem
	if problem == nil && now.DockerConfig != nil {
		config, err := dockerconfig.Parse(place, now.DockerConfig)
		if err == nil {
			return keychain.Chain(config.Repository(now.Settings.Repository), ambient.New())
		}
		problem = err
	}
	if problem == nil {
		return ambient.New()
	}
	return keychain.Func(func(context.Context, string) (keychain.Credential, error) { return keychain.Credential{}, problem })
}
