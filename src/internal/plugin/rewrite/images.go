// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
)

// entries are the kustomization's images: one for each spelling of each private repository that a container
// has, in the order of the names. Kustomize walks through all objects for each entry.
func (p *Plan) entries() []types.Image {
	renamed := p.renamed()
	byRepository := map[string][]Image{}
	for _, image := range p.Base.inContainers {
		if renamed[image.Repository] && !p.licensed(image) {
			byRepository[image.Repository] = append(byRepository[image.Repository], image)
		}
	}
	var all []types.Image
	for _, repository := range slices.Sorted(maps.Keys(byRepository)) {
		images := byRepository[repository]
		var names []string
		for _, image := range images {
			for _, name := range image.Spellings() {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		tag, digest := version(images)
		for _, name := range names {
			all = append(all, types.Image{Name: p.pattern(name), NewName: p.Proxy.Name(name), NewTag: tag, Digest: digest})
		}
	}
	return all
}

// version is the tag and digest that all images of a repository have in common. Without one, kustomize keeps
// what each has.
func version(images []Image) (tag, digest string) {
	first := images[0]
	for _, image := range images {
		if image.Tag != first.Tag || image.Digest != first.Digest {
			return "", ""
		}
	}
	return first.Tag, first.Digest
}

// pattern is how kustomize finds a name. It takes the name for a regular expression, in which a dot is any
// character; where that would catch another image of the base, the name is quoted.
func (p *Plan) pattern(name string) string {
	loose, err := regexp.Compile("^" + name + "$")
	catches := func(image Image) bool {
		return image.Name != name && (err != nil || loose.MatchString(image.Name))
	}
	if err != nil || slices.ContainsFunc(p.Base.inContainers, catches) {
		return regexp.QuoteMeta(name)
	}
	return name
}

// ours reports whether an entry of an images list sends an image through the proxy, of whatever domain.
func (p *Plan) ours(newName string) bool {
	domain, rest, found := strings.Cut(newName, "/")
	return found && domain != "" && strings.HasPrefix("/"+rest, p.Proxy.Prefix())
}
