// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"slices"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// Verdicts about images that no registry was asked about.
const (
	// Proxied is on the proxy's domain already.
	Proxied Verdict = "proxied"
	// Licensed is on a registry that takes the license itself.
	Licensed Verdict = "licensed"
	// Assumed is private because the user says so of all.
	Assumed Verdict = "assumed"
)

// Plan is everything that the files are made of.
type Plan struct {
	Base *Base
	// Dir is where the midstream is.
	Dir string
	// Proxy is where private images are pulled from, RegistryDomain a registry that takes the same license;
	// it may be empty.
	Proxy          Proxy
	RegistryDomain string
	// Namespace is where objects without one go, and the pull Secret with them; empty: wherever the user
	// applies them.
	Namespace string
	// LicenseID is the password in it.
	LicenseID string
	// InText renames images in texts, too.
	InText bool
	// AdmissionPolicy asks for a policy by which the API server renames the images of Pods that are made later.
	AdmissionPolicy bool
	// Answers is what the registries said about each of [Plan.Open].
	Answers map[string]Answer
	// Tried says that the proxy has what it is asked for: see [Plan.Try].
	Tried bool

	overridden []string               // names that the user's entries rename otherwise, by [Plan.Stage]
	settled    string                 // where the user's kustomization puts everything
	users      map[string]types.Image // the user's entries there, by name
	built      []*yaml.RNode          // by [Plan.Verify]
}

// Finding is what is known about an image, and what becomes of it.
type Finding struct {
	Image   string  `json:"image"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
	// NewName is empty for an image that keeps its name.
	NewName string `json:"newName,omitempty"`
}

// Open are the images that their registries have to be asked about.
func (p *Plan) Open() []string {
	var open []string
	for _, image := range p.allImages() {
		if !p.licensed(image) {
			open = append(open, image.Written)
		}
	}
	return open
}

// allImages are the images of the base, and then what need not be one.
func (p *Plan) allImages() []Image {
	all := slices.Clone(p.Base.Images)
	for _, image := range p.Base.Unsure {
		all = append(all, image.Image)
	}
	return all
}

// licensed reports whether an image is on a domain that takes the license.
func (p *Plan) licensed(image Image) bool {
	return image.Host == p.Proxy.Domain || image.Host != "" && image.Host == p.RegistryDomain
}

// AssumeAll answers for the registries that every image is private.
func (p *Plan) AssumeAll() {
	reason := "taken as private, its registry was not asked"
	if p.Base.Application.ProxyPublicImages {
		reason = "the Application has proxyPublicImages, its registry was not asked"
	}
	p.Answers = map[string]Answer{}
	for _, image := range p.Open() {
		p.Answers[image] = Answer{Verdict: Assumed, Reason: reason}
	}
	for _, image := range p.Base.Unsure {
		if !image.Named {
			p.Answers[image.Written] = Answer{Verdict: Unasked, Reason: "its registry was not asked"}
		}
	}
}

func closed(a Answer) bool { return a.Closed() }

// renamed are the repositories of which an image goes through the proxy, and with it all others of the
// repository: an entry of kustomize's is for a name with every tag.
func (p *Plan) renamed() map[string]bool {
	repositories := map[string]bool{}
	for _, image := range p.Base.Images {
		if !p.licensed(image) && closed(p.Answers[image.Written]) {
			repositories[image.Repository] = true
		}
	}
	for _, image := range p.Base.Unsure {
		if !p.licensed(image.Image) && p.confirmed(image) {
			repositories[image.Repository] = true
		}
	}
	return repositories
}

// Findings say what was found about each image, in the order of their names.
func (p *Plan) Findings() []Finding {
	renamed := p.renamed()
	findings := make([]Finding, 0, len(p.Base.Images))
	for _, image := range p.allImages() {
		f := Finding{Image: image.Written}
		switch {
		case image.Host == p.Proxy.Domain:
			f.Verdict, f.Reason = Proxied, "on the proxy's domain already"
		case p.licensed(image):
			f.Verdict, f.Reason = Licensed, "on a registry that takes the license"
		default:
			f.Verdict, f.Reason = p.Answers[image.Written].Verdict, p.Answers[image.Written].Reason
			if renamed[image.Repository] {
				f.NewName = p.Proxy.Name(image.Name)
				if !closed(p.Answers[image.Written]) {
					f.Reason += "; another image of its repository is private"
				}
			}
		}
		findings = append(findings, f)
	}
	return findings
}

// needSecret are the Pods that use an image which wants the license.
func (p *Plan) needSecret() []Pod {
	renamed := p.renamed()
	wants := map[string]bool{}
	for _, image := range p.Base.Images {
		wants[image.Written] = p.licensed(image) || renamed[image.Repository]
	}
	return slices.DeleteFunc(slices.Clone(p.Base.Pods), func(pod Pod) bool {
		return !slices.ContainsFunc(pod.Images, func(image string) bool { return wants[image] })
	})
}

func (p *Plan) secretName() string { return license.PullSecretName(p.Proxy.App) }
