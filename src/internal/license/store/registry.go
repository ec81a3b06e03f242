// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// credential is what was read where the credential of a registry is.
type credential struct {
	// called is the place in messages.
	called string
	// config is the last one that could be used; nil: none yet. sum is that of its content.
	config *dockerconfig.Config
	sum    [sha256.Size]byte
	// err is why there is none, or why there is no newer one.
	err error
	// read says that it has been tried.
	read bool
}

// wiring is all that an [upstream.Registry] depends on. As long as it is the same, so are connections and tokens.
type wiring struct {
	host, caCertData string
	plainHTTP        bool
	provider         string
	// tokenRealms with blanks between.
	tokenRealms string
	config      *dockerconfig.Config
}

// deliver takes the docker config that was read at a place, which messages call by another name. What cannot be used leaves what was
// there.
func (s *set) deliver(place, called string, data []byte, err error) {
	var config *dockerconfig.Config
	if err == nil {
		config, err = dockerconfig.Parse(called, data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, wanted := s.credentials[place]
	if !wanted {
		return
	}
	c.called, c.err, c.read = called, err, true
	if sum := sha256.Sum256(data); err == nil && (c.config == nil || c.sum != sum) {
		c.config, c.sum = config, sum
	}
}

// want gives the places from which credentials are read, and whether that has been tried with all. What is no longer wanted is forgotten.
func (s *set) want() (places []string, read bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := map[string]*credential{}
	read = len(s.pending) == 0
	for _, o := range s.order {
		for _, v := range []version{o.version, o.force} {
			if v.registry == nil || v.registry.credential == "" {
				continue
			}
			place := v.registry.credential
			if wanted[place] = s.credentials[place]; wanted[place] == nil {
				wanted[place] = &credential{}
			}
			read = read && wanted[place].read
		}
	}
	s.credentials = wanted
	for place := range wanted {
		places = append(places, place)
	}
	return places, read
}

// errNotRead passes by itself.
var errNotRead = errors.New("its credential has not been read yet")

// access gives the keychain of a registry and where it is from. Without a keychain and with an error the registry cannot be asked; with
// both, a newer credential cannot be used.
func (s *set) access(r *registry) (keychain.Keychain, wiring, error) {
	w := wiring{
		host: r.spec.Hostname, caCertData: r.spec.CACertData, plainHTTP: r.spec.PlainHTTP, provider: r.spec.Credentials.Provider,
		tokenRealms: strings.Join(r.spec.TokenRealms, " "),
	}
	switch c := s.credentials[r.credential]; {
	case w.provider != "":
		found, err := ambient.Of(w.provider, w.host)
		return found, w, err
	case r.credential == "":
		return keychain.Chain(), w, nil
	case c == nil, !c.read:
		return nil, w, errNotRead
	case c.config == nil:
		return nil, w, c.err
	case !c.config.Knows(w.host):
		return nil, w, fmt.Errorf("%s has no credential for %s: it has some for %q", c.called, w.host, c.config.Hosts())
	default:
		w.config = c.config
		return c.config, w, c.err
	}
}

// link is the registry that was made for an object.
type link struct {
	wiring
	registry *upstream.Registry
}

// connect gives the registry of an object, the same as before where nothing about it has changed. No connection is opened.
func (s *set) connect(o *object, r *registry) (*upstream.Registry, error) {
	credentials, w, err := s.access(r)
	if credentials != nil && o.link != nil && o.link.wiring == w {
		return o.link.registry, nil
	}
	s.retire(o)
	if credentials == nil {
		return nil, err
	}
	cfg := s.base
	cfg.Host, cfg.PlainHTTP, cfg.CACertData, cfg.Keychain = w.host, w.plainHTTP, []byte(w.caCertData), credentials
	cfg.TokenRealms = strings.Fields(w.tokenRealms)
	made, err := upstream.New(cfg)
	if err != nil {
		return nil, err
	}
	o.link = &link{w, made}
	return made, nil
}

// retire lets go of an object's registry.
func (s *set) retire(o *object) {
	if o.link != nil {
		s.retired = append(s.retired, o.link.registry)
	}
	o.link = nil
}
