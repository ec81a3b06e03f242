// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"slices"
	"strings"
)

// splitKeys are the names of fields that have a repository, and of those beside them that have its tag or
// digest.
func splitKeys() map[string][]string {
	tags := []string{"tag", "imageTag", "digest", "sha", "version"}
	return map[string][]string{
		"repository": tags, "repo": tags, "baseImage": tags,
		"image": {"tag", "imageTag", "digest", "sha"}, "imageName": {"tag", "imageTag"},
		"imageRepository": {"tag", "imageTag"}, "imageRepo": {"tag", "imageTag"},
	}
}

// splitImage puts an image together whose repository is at a place, and whose tag is beside it.
func splitImage(p place) (mention, bool) {
	if p.parent == nil || len(p.steps) == 0 {
		return mention{}, false
	}
	key := p.steps[len(p.steps)-1].key
	repository := strings.TrimSpace(p.node.Value)
	for _, beside := range splitKeys()[key] {
		version := value(p.parent, beside)
		if version == "" {
			continue
		}
		bare, err := ParseImage(repository)
		if err != nil || bare.Tag != "" || bare.Digest != "" {
			return mention{}, false
		}
		image, err := ParseImage(compose(value(p.parent, "registry"), repository, beside, version))
		if err != nil || !strings.Contains(image.Name, "/") || !plausible(image) {
			return mention{}, false
		}
		return mention{image: image, end: len(p.node.Value), named: true}, true
	}
	return mention{}, false
}

func compose(registry, repository, key, version string) string {
	if registry != "" {
		repository = strings.TrimSuffix(registry, "/") + "/" + repository
	}
	switch {
	case strings.HasPrefix(version, "sha256:"):
		return repository + "@" + version
	case key == "sha":
		return repository + "@sha256:" + version
	default:
		return repository + ":" + version
	}
}

// splitFields are fields of well-known operators that have a repository, with its registry, and that the
// operator puts a tag behind. A new name there does what it should.
func splitFields() []FieldSelector {
	var all []FieldSelector
	for _, text := range []string{
		// prometheus-operator puts version, tag or sha behind its deprecated baseImage.
		"Prometheus.monitoring.coreos.com:spec.baseImage",
		"Prometheus.monitoring.coreos.com:spec.thanos.baseImage",
		"Alertmanager.monitoring.coreos.com:spec.baseImage",
		"ThanosRuler.monitoring.coreos.com:spec.baseImage",
		// Charts put "repository:tag" together.
		"HelmRelease.helm.toolkit.fluxcd.io:spec.values.image.repository",
		"HelmRelease.helm.toolkit.fluxcd.io:spec.values.*.image.repository",
	} {
		if selector, err := ParseFieldSelector(text); err == nil {
			all = append(all, selector)
		}
	}
	return all
}

// renamesSplit reports whether a new name in place of the repository does what it should.
func (f Field) renamesSplit() bool {
	place := place{object: f.object, steps: f.steps}
	return slices.ContainsFunc(splitFields(), func(s FieldSelector) bool { return s.matches(place) })
}
