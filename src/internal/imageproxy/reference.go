// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// prefix is what every name begins with here.
const prefix = "proxy/"

// maxHost is the longest host with a port: 253 characters of a name, a colon, and five digits.
const maxHost = 259

// grammar is of what stands in front of the repository in a name.
type grammar struct{ app, host *regexp.Regexp }

func newGrammar() grammar {
	return grammar{
		app:  regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`),
		host: regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?$`),
	}
}

// reference is the name of an image behind this side, proxy/<app>/[<host or alias>/]<repository>. The zero
// one is of a name that does not begin so.
type reference struct {
	app string
	// host is the registry, when the name says it in a way that cannot be a repository's.
	host string
	// path is what follows: the repository, with an alias in front of it or not.
	path string
}

// image is the reference without what all of an application's have in common.
func (ref reference) image() string {
	if ref.host == "" {
		return ref.path
	}
	return ref.host + "/" + ref.path
}

// read reads a method and an escaped path. The name in the route is the client's. Nothing of the catalog
// takes part in it, so that what is refused here tells nothing about it.
func (g grammar) read(method, escapedPath string) (oci.Route, reference, error) {
	operation, ref, err := g.path(escapedPath)
	if err != nil {
		return operation, ref, err
	}
	operation, err = operation.For(method, methods(operation.Kind)...)
	return operation, ref, err
}

// methods are those that read.
func methods(kind oci.Kind) []string {
	switch kind {
	case oci.UploadStart, oci.Upload:
		return nil
	default:
		return []string{http.MethodGet, http.MethodHead}
	}
}

func (g grammar) path(escaped string) (oci.Route, reference, error) {
	rest, proxied := strings.CutPrefix(escaped, "/v2/"+prefix)
	if !proxied {
		operation, err := oci.ParsePath(escaped)
		return operation, reference{}, err
	}
	app, rest, _ := strings.Cut(rest, "/")
	if !g.app.MatchString(app) {
		return oci.Route{}, reference{}, oci.Errorf(oci.NameInvalid,
			"the application's name is not valid: lower case letters, digits and - are, 63 characters at most")
	}
	first, after, _ := strings.Cut(rest, "/")
	if host := colons(first); isHost(host) {
		operation, err := below(after)
		if oci.ErrorFrom(err).Code != oci.PathUnknown { // otherwise it is no host, but an image on Docker Hub
			return g.named(operation, reference{app: app, host: host}, err)
		}
	}
	operation, err := below(rest)
	return g.named(operation, reference{app: app}, err)
}

// below reads what follows a part of the name.
func below(rest string) (oci.Route, error) {
	operation, err := oci.ParsePath("/v2/" + rest)
	if err == nil && operation.Kind == oci.Ping {
		err = oci.Errorf(oci.PathUnknown, "no such path in the distribution API")
	}
	return operation, err
}

func (g grammar) named(operation oci.Route, ref reference, err error) (oci.Route, reference, error) {
	if err != nil {
		return oci.Route{}, reference{}, err
	}
	if ref.host != "" && (len(ref.host) > maxHost || strings.Contains(ref.host, "..") || !g.host.MatchString(ref.host)) {
		return oci.Route{}, reference{}, oci.Errorf(oci.NameInvalid,
			"the registry's name is not valid: it looks like quay.io or localhost:5000")
	}
	ref.path = operation.Name
	operation.Name = prefix + ref.app + "/" + ref.image()
	return operation, ref, nil
}

// isHost reports whether the first segment of an image's name is a registry's, by the rule that docker has
// for it.
func isHost(segment string) bool { return strings.ContainsAny(segment, ".:") || segment == "localhost" }

// colons undoes what some clients do to them.
func colons(segment string) string {
	return strings.NewReplacer("%3A", ":", "%3a", ":").Replace(segment)
}

// find returns the registry that a reference names, and the repository there. The error is one of the
// catalog's. An alias that is for other applications does not take its name on Docker Hub away from those
// that have Docker Hub.
func (ref reference) find(c *catalog.Catalog) (*catalog.Registry, string, error) {
	name, repository := ref.host, ref.path
	if name == "" {
		name = upstream.DockerHub
		if alias, after, ok := strings.Cut(ref.path, "/"); ok && c.Knows(alias) {
			name, repository = alias, after
		}
	}
	registry, err := c.Registry(name, ref.app)
	if ref.host == "" && errors.Is(err, catalog.ErrNotOpen) {
		if hub, closed := c.Registry(upstream.DockerHub, ref.app); closed == nil {
			registry, repository, err = hub, ref.path, nil
		}
	}
	if err != nil {
		return nil, "", err
	}
	if upstream.Canonical(registry.Hostname) == upstream.DockerHub && !strings.Contains(repository, "/") {
		repository = "library/" + repository
	}
	if !registry.Opens(repository) {
		return nil, "", catalog.ErrRepository
	}
	return registry, repository, nil
}

// opens returns what a license opens of the repository that a reference names, and where that is. The reason says why
// it opens nothing; the error is one that a catalog does not have.
func (ref reference) opens(
	known *catalog.Catalog, license *catalog.License,
) (registry *catalog.Registry, repository string, tags catalog.Tags, reason Reason, err error) {
	if ref.app != license.App {
		return nil, "", tags, OtherApp, nil
	}
	registry, repository, err = ref.find(known)
	switch {
	case errors.Is(err, catalog.ErrNoRegistry):
		return nil, "", tags, RegistryUnknown, nil
	case errors.Is(err, catalog.ErrNotOpen):
		return nil, "", tags, RegistryClosed, nil
	case errors.Is(err, catalog.ErrRepository):
		return nil, "", tags, RepositoryClosed, nil
	case err != nil:
		return nil, "", tags, "", err
	}
	if tags = license.Images.Of(registry.Hostname, repository); tags.None() {
		reason = NotLicensed
	}
	return registry, repository, tags, reason, nil
}
