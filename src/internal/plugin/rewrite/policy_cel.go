// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	admission "k8s.io/api/admissionregistration/v1"
)

// maxExpression is how many characters of an expression the API server parses.
const maxExpression = 100_000

// celImages lists the images of POD, which is "object" or "oldObject", and where they are in it. A Pod without
// containers is refused by the API server, not by an expression that fails.
const celImages = `(['initContainers', 'containers', 'ephemeralContainers']
  .filter(list, list in POD.spec && POD.spec[list] != null)
  .map(list, POD.spec[list].transformList(i, c, has(c.image),
    {'path': '/spec/' + list + '/' + string(i) + '/image', 'image': string(c.image)}))
+ (has(POD.spec.volumes) ? [POD.spec.volumes.transformList(i, v, has(v.image) && has(v.image.reference),
    {'path': '/spec/volumes/' + string(i) + '/image/reference', 'image': string(v.image.reference)})] : [])
).flatten()`

// celName is an image without its tag and digest. The first colon of an image may be that of a port.
const celName = `.find('^(?:[^/@]*/)*[^/:@]*')`

// expressions are the parts of the policy that are written in CEL.
type expressions struct {
	condition string
	variables []admission.Variable
	patch     string
}

// expressions writes them.
func (p *Plan) expressions() (expressions, error) {
	names, ofHub := policyNames(p.renamed())
	e := expressions{condition: p.celCondition(names, ofHub), variables: p.celVariables(names, ofHub), patch: p.celPatch()}
	// The condition has all names, and is the longest. Everything in it is ASCII.
	if length := len(e.condition); length > maxExpression {
		return e, fmt.Errorf("the names of %d private repositories are too long for an admission policy: "+
			"an expression of %d characters, and the API server takes %d", len(names), length, maxExpression)
	}
	return e, nil
}

// celCondition is whether the policy is about a Pod. A condition sees no variables, so it has the names itself.
func (p *Plan) celCondition(names, ofHub []string) string {
	return celImagesOf("object") + ".exists(i, " + p.celLicensed() + "\n|| " +
		celNamed(celList(names), celList(ofHub)) + ")"
}

func (p *Plan) celVariables(names, ofHub []string) []admission.Variable {
	return []admission.Variable{
		{Name: "names", Expression: "// The repositories that are behind the proxy, as images name them.\n" +
			celList(names)},
		{Name: "ofDockerHub", Expression: "// Those that images may name with a host of Docker Hub's as well.\n" +
			celList(ofHub)},
		{Name: "images", Expression: celImagesOf("object")},
		{Name: "before", Expression: "// What a Pod has already stays: another name would start its container again.\n" +
			"oldObject == null ? [] : " + celImagesOf("oldObject") + ".map(i, i.image)"},
		{Name: "renamed", Expression: "variables.images.filter(i, !(i.image in variables.before)\n&& " +
			celNamed("variables.names", "variables.ofDockerHub") + ")"},
		{Name: "addsSecret", Expression: "// Only a new Pod can be given a Secret.\noldObject == null\n" +
			"&& (size(variables.renamed) > 0 || variables.images.exists(i, " + p.celLicensed() + "))\n" +
			"&& !(has(object.spec.imagePullSecrets)\n" +
			"  && object.spec.imagePullSecrets.exists(s, has(s.name) && s.name == " + celText(p.secretName()) + "))"},
	}
}

func (p *Plan) celPatch() string {
	secret := "{'name': " + celText(p.secretName()) + "}"
	return "variables.renamed.map(i, JSONPatch{op: 'replace', path: i.path, value: " + p.celNewName() + "})\n" +
		"+ (!variables.addsSecret ? []\n" +
		"  : has(object.spec.imagePullSecrets)\n" +
		"  ? [JSONPatch{op: 'add', path: '/spec/imagePullSecrets/-', value: " + secret + "}]\n" +
		"  : [JSONPatch{op: 'add', path: '/spec/imagePullSecrets', value: [" + secret + "]}])"
}

// policyNames are the names by which images of the repositories are known: all of them, and those to which
// images may add a host of Docker Hub's.
func policyNames(repositories map[string]bool) (names, ofHub []string) {
	for _, repository := range slices.Sorted(maps.Keys(repositories)) {
		path, is := strings.CutPrefix(repository, name.DefaultRegistry+"/")
		if !is {
			names = append(names, repository)
			continue
		}
		paths := []string{path}
		if short, official := strings.CutPrefix(path, library); official && !strings.Contains(short, "/") {
			paths = []string{short, path}
		}
		ofHub = append(ofHub, paths...)
		for _, path := range paths {
			// Without a host, a path may look like another registry's, or like the id of an image.
			if image, err := ParseImage(path); err == nil && image.Repository == repository {
				names = append(names, path)
			}
		}
	}
	return names, ofHub
}

func celImagesOf(pod string) string { return strings.ReplaceAll(celImages, "POD", pod) }

// celNamed is whether the image i is of one of the repositories. A list of one element is CEL's way to give a
// value a name.
func celNamed(names, ofHub string) string {
	hosts := make([]string, 0, len(hub()))
	for _, host := range hub() {
		hosts = append(hosts, host+"/")
	}
	return "[i.image" + celName + "].exists(name, name in " + names + "\n  || " +
		celList(hosts) + ".exists(host, name.startsWith(host) && name.substring(size(host)) in " + ofHub + "))"
}

// celLicensed is whether the image i is on a domain that takes the license.
func (p *Plan) celLicensed() string {
	test := "i.image.startsWith(" + celText(p.Proxy.Domain+"/") + ")"
	if p.RegistryDomain != "" {
		test += " || i.image.startsWith(" + celText(p.RegistryDomain+"/") + ")"
	}
	return test
}

// celNewName is the name of the image i behind the proxy, as [Proxy.Name] returns it, with tag and digest.
func (p *Plan) celNewName() string {
	image := "i.image"
	for _, host := range slices.Backward(slices.Sorted(maps.Keys(p.Proxy.Aliases))) {
		if alias := p.Proxy.Aliases[host]; alias != "" {
			image = fmt.Sprintf("i.image.startsWith(%s) ? %s + i.image.substring(%d)\n  : %s",
				celText(host+"/"), celText(alias), len([]rune(host)), image)
		}
	}
	return celText(p.Proxy.Domain+p.Proxy.Prefix()) + " + (" + image + ")"
}

// celList is a list of texts, each on a line of its own where there are many.
func celList(texts []string) string {
	quoted := make([]string, 0, len(texts))
	for _, text := range texts {
		quoted = append(quoted, celText(text))
	}
	if len(texts) > 3 {
		return "[\n" + strings.Join(quoted, ",\n") + "\n]"
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// celText is a text as CEL writes it.
func celText(text string) string {
	quoted := strconv.QuoteToASCII(text)
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return "'" + strings.ReplaceAll(quoted, "'", `\'`) + "'"
}
