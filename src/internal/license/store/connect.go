// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// errNotRead passes by itself.
var errNotRead = errors.New("its credential has not been read yet")

// access is how a registry is asked.
type access struct {
	// keychain is nil where the registry cannot be asked.
	keychain keychain.Keychain
	wiring   wiring
	// problem is why it cannot be asked, or why a newer credential cannot be used.
	problem error
}

// wiring is all that an [upstream.Registry] depends on. As long as it is the same, so are connections and
// tokens.
type wiring struct {
	uid              types.UID
	host, caCertData string
	plainHTTP        bool
	provider         string
	// tokenRealms with blanks between.
	tokenRealms string
	config      *dockerconfig.Config
}

// access says how a registry is asked, with these credentials.
func (c credentials) access(r *registry) access {
	a := access{wiring: wiring{
		host: r.spec.Hostname, caCertData: r.spec.CACertData, plainHTTP: r.spec.PlainHTTP,
		provider: r.spec.Credentials.Provider, tokenRealms: strings.Join(r.spec.TokenRealms, " "),
	}}
	found, read := c[r.credential]
	switch {
	case a.wiring.provider != "":
		a.keychain, a.problem = ambient.Of(a.wiring.provider, a.wiring.host)
	case r.credential == "":
		a.keychain = keychain.Chain()
	case !read:
		a.problem = errNotRead
	case found.config == nil:
		a.problem = found.err
	case !found.config.Knows(a.wiring.host):
		a.problem = found.config.NoneFor(a.wiring.host, found.called)
	default:
		a.keychain, a.wiring.config, a.problem = found.config, found.config, found.err
	}
	return a
}

// link is the registry that was made for an object.
type link struct {
	wiring   wiring
	registry *upstream.Registry
}

// connect makes what asks the registries of a decision. Where nothing about one has changed, it is that of
// before. No connection is opened. The links of before that are not returned are of no use once the decision
// is in force.
func connect(d decision, keys credentials, before map[id]link, base upstream.Config) map[id]link {
	links := map[id]link{}
	for which, s := range d.standings {
		if s.entry == nil {
			continue
		}
		a := keys.access(s.force.registry)
		if s.entry.Problem = a.problem; a.keychain == nil {
			continue
		}
		a.wiring.uid = s.object.uid
		made, known := before[which]
		if !known || made.wiring != a.wiring {
			cfg := base
			cfg.Host, cfg.PlainHTTP, cfg.Keychain = a.wiring.host, a.wiring.plainHTTP, a.keychain
			cfg.CACertData, cfg.TokenRealms = []byte(a.wiring.caCertData), strings.Fields(a.wiring.tokenRealms)
			registry, err := upstream.New(cfg)
			if s.entry.Problem = err; err != nil {
				continue
			}
			made = link{a.wiring, registry}
		}
		links[which], s.entry.Upstream, s.entry.Problem = made, made.registry, nil
	}
	return links
}
