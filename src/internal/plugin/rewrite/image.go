// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
)

const library = "library/"

// hub lists the hosts that are Docker Hub, the usual spellings first.
func hub() []string { return []string{"docker.io", name.DefaultRegistry, "registry-1.docker.io"} }

// Image is a parsed name.
type Image struct {
	// Written is the whole of it.
	Written string
	// Name is Written without tag and digest. Tag and Digest are empty where there is none.
	Name, Tag, Digest string
	// Host is the registry that Name begins with; empty where Docker Hub is meant without being named.
	Host string
	// Repository is the same for every spelling of Name.
	Repository string
}

// ParseImage reads an image as it stands in a container, by the grammar that container runtimes have.
func ParseImage(written string) (Image, error) {
	named, err := reference.ParseNormalizedNamed(written)
	if err != nil {
		return Image{}, fmt.Errorf("image %q: not a valid image name", written)
	}
	i := Image{Written: written, Name: written}
	if digested, ok := named.(reference.Digested); ok {
		i.Digest = digested.Digest().String()
		i.Name = strings.TrimSuffix(i.Name, "@"+i.Digest)
	}
	if tagged, ok := named.(reference.Tagged); ok {
		i.Tag = tagged.Tag()
		i.Name = strings.TrimSuffix(i.Name, ":"+i.Tag)
	}
	host, path := reference.Domain(named), reference.Path(named)
	if slices.Contains(hub(), host) {
		host = name.DefaultRegistry
		if !strings.Contains(path, "/") {
			path = library + path
		}
	}
	i.Repository = host + "/" + path
	if first, _, found := strings.Cut(i.Name, "/"); found && (first == host || slices.Contains(hub(), first)) {
		i.Host = first
	}
	return i, nil
}

// Spellings are all names that a manifest may use for the repository, Name among them: one, except for Docker
// Hub.
func (i Image) Spellings() []string {
	path, ofHub := strings.CutPrefix(i.Repository, name.DefaultRegistry+"/")
	if !ofHub {
		return []string{i.Name}
	}
	paths := []string{path}
	if short, official := strings.CutPrefix(path, library); official && !strings.Contains(short, "/") {
		paths = []string{short, path}
	}
	all := slices.Clone(paths)
	for _, host := range hub()[:2] {
		for _, path := range paths {
			all = append(all, host+"/"+path)
		}
	}
	if !slices.Contains(all, i.Name) {
		all = append(all, i.Name)
	}
	// Without a host, 64 hexadecimal digits are the id of an image, and no name.
	return slices.DeleteFunc(all, func(spelling string) bool {
		_, err := reference.ParseNormalizedNamed(spelling)
		return err != nil
	})
}

// Proxy is where an application's images are pulled from.
type Proxy struct {
	// Domain is the proxy's host, with a port where it has one.
	Domain string
	// App is the application's slug.
	App string
	// Aliases are the short names of upstream hosts, by host.
	Aliases map[string]string
	// Mirror is a repository of the customer's own, below which there is a copy of every image; empty: images
	// come through the proxy.
	Mirror string
}

// Prefix is what every image name behind the proxy begins with, for any domain that the proxy may have.
func (p Proxy) Prefix() string { return "/proxy/" + p.App + "/" }

// Name returns what a name without tag and digest becomes behind the proxy, or in the mirror.
func (p Proxy) Name(written string) string {
	if p.Mirror != "" {
		return p.mirrored(written)
	}
	if host, path, found := strings.Cut(written, "/"); found && p.Aliases[host] != "" {
		written = p.Aliases[host] + "/" + path
	}
	return p.Domain + p.Prefix() + written
}

// Usable reports whether container runtimes take a name that [Proxy.Name] returned: their grammar has no
// colon after the domain, so an upstream with a port needs an alias.
func (p Proxy) Usable(proxied string) bool {
	_, err := reference.WithName(proxied)
	return err == nil
}
