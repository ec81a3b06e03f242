// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/docker/cli/cli/config/configfile"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// Config is a parsed docker config. It is a [keychain.Keychain] and does not change.
type Config struct {
	entries []entry                      // with a credential in the file
	helpers map[string]string            // registry, normalised: name of its credential helper
	store   string                       // the helper for all other registries, or ""
	asked   map[string]keychain.Keychain // by helper
}

// entry is a credential and the part of the registry that it is for.
type entry struct {
	key        key
	credential keychain.Credential
}

// Parse reads a docker config.json. The place is a file name or a Secret's namespace and name, for errors
// only.
//
// An error is one line that says where and what to do, and holds nothing of the credentials.
func Parse(place string, data []byte) (*Config, error) {
	file := configfile.New("")
	if err := checkForm(data); err != nil {
		return nil, fmt.Errorf("docker config %s: %w", place, err)
	}
	if err := file.LoadFromReader(bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("docker config %s: %w", place, explain(data, file))
	}
	c := &Config{helpers: map[string]string{}, store: file.CredentialsStore, asked: map[string]keychain.Keychain{}}
	for _, name := range slices.SortedFunc(maps.Keys(file.AuthConfigs), plainFirst) {
		auth := file.AuthConfigs[name]
		e := entry{key: parseKey(name)}
		switch {
		case auth.RegistryToken != "":
			e.credential = keychain.Credential{RegistryToken: auth.RegistryToken}
		case auth.IdentityToken != "":
			e.credential = keychain.Credential{Username: auth.Username, IdentityToken: auth.IdentityToken}
		default:
			e.credential = keychain.Credential{Username: auth.Username, Password: auth.Password}
		}
		if !e.credential.Anonymous() { // docker login leaves {} behind when a store holds the credential
			c.entries = append(c.entries, e)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(file.CredentialHelpers), plainFirst) {
		registry := parseKey(name).String()
		if _, ok := c.helpers[registry]; !ok {
			c.helpers[registry] = file.CredentialHelpers[name]
		}
	}
	for _, helper := range append(slices.Sorted(maps.Values(c.helpers)), c.store) {
		if err := checkHelper(helper); err != nil {
			return nil, fmt.Errorf("docker config %s: %w", place, err)
		}
		c.asked[helper] = keychain.Cached(helperKeychain(place, helper))
	}
	return c, nil
}

// Credential implements [keychain.Keychain] for a host as a whole: entries with a path are not considered.
func (c *Config) Credential(ctx context.Context, host string) (keychain.Credential, error) {
	return c.credential(ctx, host, "")
}

// Repository is the config as seen from one repository, such as "team/app": of the entries for the host, the
// one with the longest path that leads to the repository wins. The kubelet reads image pull secrets the same
// way.
func (c *Config) Repository(repository string) keychain.Keychain {
	return keychain.Func(func(ctx context.Context, host string) (keychain.Credential, error) {
		return c.credential(ctx, host, repository)
	})
}

// Hosts lists what the config has a credential or a helper for, as "host" or "host/path", sorted. A store
// ("credsStore") can know more hosts.
func (c *Config) Hosts() []string {
	var hosts []string
	for registry, helper := range c.helpers {
		if helper != "" {
			hosts = append(hosts, registry)
		}
	}
	for _, e := range c.entries {
		hosts = append(hosts, e.key.String())
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// Knows reports whether there is a credential for a host as a whole, or a helper that may have one.
func (c *Config) Knows(host string) bool { return c.KnowsRepository(host, "") }

// KnowsRepository reports the same for one repository of the host.
func (c *Config) KnowsRepository(host, repository string) bool {
	return c.helperFor(host) != "" || c.find(host, repository).key.host != ""
}

// NoneFor returns the error that the config has no credential for a registry, or a repository of it. It names
// the hosts that it has some for: what is missing may be filed under one of them.
func (c *Config) NoneFor(what, called string) error {
	return fmt.Errorf("%s has no credential for %s: it has some for %q", called, what, c.Hosts())
}

// credential asks, in this order: the entry with a path, the host's helper, the store, the entry of the whole
// host. A helper that does not know the host hands on to the next.
func (c *Config) credential(ctx context.Context, host, repository string) (keychain.Credential, error) {
	e := c.find(host, repository)
	if e.key.path != "" {
		return e.credential, nil
	}
	if helper := c.helperFor(host); helper != "" {
		found, err := c.asked[helper].Credential(ctx, serverName(host))
		if err != nil || !found.Anonymous() {
			return found, err
		}
	}
	return e.credential, nil
}

// find is the best entry for a repository, or the zero entry: the longest path, then an exact host before a
// pattern.
func (c *Config) find(host, repository string) entry {
	var best entry
	name := parseKey(host)
	for _, e := range c.entries {
		if e.key.matches(name.host, repository) && (best.key.host == "" || e.key.closerThan(best.key)) {
			best = e
		}
	}
	return best
}

func (c *Config) helperFor(host string) string {
	if helper, ok := c.helpers[parseKey(host).host]; ok {
		return helper // "" keeps the store from being asked
	}
	return c.store
}
