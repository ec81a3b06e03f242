// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Image is an image as somebody writes it, to try whether customers get it.
type Image struct {
	reference reference
	// Reference is the tag or digest.
	Reference string
	text      string
}

// String is the image as it was written.
func (i Image) String() string { return i.text }

// Opened is where an image is found.
type Opened struct {
	Registry   *catalog.Registry
	Repository string
}

// ParseImage reads an image as customers write it, proxy.example.com/proxy/shop/quay.io/team/api:v1, with or
// without what stands in front of the registry. Without a tag, it is latest.
func ParseImage(text string) (Image, error) {
	name, tag := text, "latest"
	if before, digest, ok := strings.Cut(text, "@"); ok {
		name, tag = before, digest
	} else if colon := strings.LastIndexByte(text, ':'); colon > strings.LastIndexByte(text, '/') {
		name, tag = text[:colon], text[colon+1:]
	}
	if first, rest, ok := strings.Cut(name, "/"+prefix); ok && isHost(first) {
		name = prefix + rest
	}
	app := ""
	rest, proxied := strings.CutPrefix(name, prefix)
	if proxied {
		app, name, _ = strings.Cut(rest, "/")
	}
	// Any application will do for the grammar.
	path := "/v2/" + prefix + cmp.Or(app, "any") + "/" + name + "/manifests/" + tag
	operation, ref, err := newGrammar().read(http.MethodGet, path)
	if err != nil || operation.Kind != oci.Manifest || proxied && app == "" {
		return Image{}, fmt.Errorf("%q is no image: it looks like quay.io/team/api:v1.0.1", text)
	}
	ref.app = app
	return Image{ref, operation.Reference, text}, nil
}

// Find returns where the image is found: for the application that it names, or else for each of these
// applications that has it. The error is [catalog.ErrNoRegistry],
// [catalog.ErrNotOpen] or [catalog.ErrRepository].
func (i Image) Find(known *catalog.Catalog, apps []string) ([]Opened, error) {
	if i.reference.app != "" {
		apps = []string{i.reference.app}
	}
	var found []Opened
	failed := catalog.ErrNoRegistry
	for _, app := range apps {
		ref := i.reference
		ref.app = app
		registry, repository, err := ref.find(known)
		switch one := (Opened{registry, repository}); {
		case errors.Is(err, catalog.ErrNotOpen), errors.Is(err, catalog.ErrRepository):
			failed = err
		case err == nil && !slices.Contains(found, one):
			found = append(found, one)
		}
	}
	if len(found) == 0 {
		return nil, failed
	}
	return found, nil
}
