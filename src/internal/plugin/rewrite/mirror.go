// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// Mirrored is copied to the customer's own registry.
const Mirrored Verdict = "mirrored"

// Wanted are the images that a mirror needs. What need not be an image is one where its registry has it, or
// where it is taken for private.
func (p *Plan) Wanted() []Finding {
	unsure := map[string]bool{}
	for _, image := range p.Base.Unsure {
		unsure[image.Written] = true
	}
	return slices.DeleteFunc(p.Findings(), func(f Finding) bool {
		return unsure[f.Image] && f.NewName == "" && f.Verdict != Public
	})
}

// AssumeMirrored answers for the registries that these images are in the mirror, and that no other is.
func (p *Plan) AssumeMirrored(images []string) {
	p.Answers = map[string]Answer{}
	for _, image := range p.allImages() {
		switch {
		case slices.Contains(images, image.Written):
			p.Answers[image.Written] = Answer{Verdict: Mirrored, Reason: "copied to the mirror"}
		default:
			p.Answers[image.Written] = Answer{Verdict: Unasked, Reason: "not copied", Kept: true}
		}
	}
}

// MirrorSecret is how Pods pull from a mirror.
type MirrorSecret struct {
	// Name is that of the pull Secret; empty: none is needed.
	Name string
	// DockerConfig is what is in it; nil: it is in the cluster already.
	DockerConfig []byte
}

// pullSecret is the Secret that the midstream has.
func (p *Plan) pullSecret() (*corev1.Secret, error) {
	if p.Proxy.Mirror == "" {
		domains := []string{p.Proxy.Domain}
		if p.RegistryDomain != "" {
			domains = append(domains, p.RegistryDomain)
		}
		return license.PullSecret(p.Proxy.App, p.LicenseID, domains...)
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: p.Mirror.Name},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: p.Mirror.DockerConfig},
	}, nil
}

// secretPurpose is what its file says of itself.
func (p *Plan) secretPurpose() string {
	if p.Proxy.Mirror != "" {
		return "It holds the credential of the mirror: keep it secret."
	}
	return "It holds the license: keep it secret."
}

// hasSecret reports whether the midstream has one.
func (p *Plan) hasSecret() bool { return p.Proxy.Mirror == "" || p.Mirror.DockerConfig != nil }

// mirrored is what a name without tag and digest becomes in the mirror.
func (p Proxy) mirrored(written string) string {
	image, err := ParseImage(written)
	if err != nil {
		return written
	}
	return p.Mirror + "/" + p.Path(image)
}

// Path is where an image is below a mirror: its registry, and its repository there. It is the same for every
// spelling, and two repositories never have the same.
func (p Proxy) Path(image Image) string {
	host, path, _ := strings.Cut(image.Repository, "/")
	if rest, proxied := strings.CutPrefix(path, strings.TrimPrefix(p.Prefix(), "/")); proxied && p.App != "" && host == p.Domain {
		return p.behind(rest)
	}
	if host == name.DefaultRegistry {
		host = hub()[0]
	}
	return directory(host) + "/" + path
}

// behind is the path of a name that already leads through the proxy: that of the name behind it.
func (p Proxy) behind(rest string) string {
	first, path, _ := strings.Cut(rest, "/")
	for host, alias := range p.Aliases {
		if first == alias {
			return directory(host) + "/" + path
		}
	}
	if strings.ContainsAny(first, ".:") {
		if image, err := ParseImage(rest); err == nil {
			return Proxy{}.Path(image)
		}
	}
	return rest // an alias that only the proxy knows, or Docker Hub
}

// directory writes a host as a part of a repository's name, which has no colon, no bracket, and no capital. A
// host has no underscore, so that no other host is written the same.
func directory(host string) string {
	host = strings.ToLower(host)
	if inner, port, bracketed := strings.Cut(strings.TrimPrefix(host, "["), "]"); bracketed {
		if address, err := netip.ParseAddr(inner); err == nil {
			host = "ipv6_" + strings.ReplaceAll(address.StringExpanded(), ":", "-") + port
		}
	}
	return strings.ReplaceAll(host, ":", "_")
}
