// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// Validate adds to Err what keeps the object from being used there.
func (d *Document) Validate(where Where) {
	if d.Object == nil {
		return
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(d.Object.Validate(where), &joined) {
		return
	}
	for _, err := range joined.Unwrap() {
		if found, ok := errors.AsType[*strictyaml.Error](err); ok {
			d.fail(found.Key, found.Problem, found.Remedy)
		}
	}
	d.Object = nil
}

// findings collects defects.
type findings []error

func (f *findings) add(key, problem, remedy string) {
	*f = append(*f, &strictyaml.Error{Key: key, Problem: problem, Remedy: remedy})
}

// Validate implements [Object].
func (l *License) Validate(Where) error {
	var f findings
	f.name(l.Name)
	f.slug("spec.appSlug", l.Spec.AppSlug)
	f.text("spec.customerName", l.Spec.CustomerName, 1, 128)
	f.text("spec.customerEmail", l.Spec.CustomerEmail, 0, 254)
	f.time("spec.expiresAt", l.Spec.ExpiresAt)
	if _, err := ParseTime(l.Annotations[RevokedAtAnnotation]); err != nil {
		f.add("metadata.annotations", "the time of "+RevokedAtAnnotation+" "+err.Error(),
			"write it like 2027-01-01T00:00:00Z")
	}
	f.credentials(l.Spec.Credentials)
	f.patterns("spec.images", l.Spec.Images, oci.ParseImagePattern,
		"write repository[:tag] such as team/api:v1.*, with a registry's host before it where only that one is meant")
	if most := l.Spec.Limits.ConcurrentPulls; most != nil && (*most < 1 || *most > MaxConcurrentPulls) {
		f.add("spec.limits.concurrentPulls", fmt.Sprintf("is not from 1 to %d", MaxConcurrentPulls),
			"write another number, or remove it for the usual one; revoked: true ends a license")
	}
	return errors.Join(f...)
}

func (f *findings) credentials(credentials []Credential) {
	const most = 16
	if len(credentials) > most {
		f.add("spec.credentials", fmt.Sprintf("has more than %d entries", most), "remove those that are no longer used")
	}
	names, hashes := map[string]bool{}, map[string]bool{}
	for i, each := range credentials {
		key := fmt.Sprintf("spec.credentials[%d].", i)
		f.slug(key+"name", each.Name)
		f.time(key+"expiresAt", each.ExpiresAt)
		switch {
		case len(each.SHA256) != len(Hash("")), strings.Trim(each.SHA256, "0123456789abcdef") != "":
			f.add(key+"sha256", "is not the hex of a SHA-256",
				"write 64 lower-case hex digits, as kubectl lsp license create does")
		case each.SHA256 == Hash(""):
			f.add(key+"sha256", "is the hash of nothing", "write the hash of a license id, as kubectl lsp license create does")
		case hashes[each.SHA256]:
			f.add(key+"sha256", "is there twice", "give every credential an id of its own")
		}
		if names[each.Name] {
			f.add(key+"name", "is there twice", "give every credential a name of its own")
		}
		names[each.Name], hashes[each.SHA256] = true, true
	}
}

// Validate implements [Object].
func (r *ExternalRegistry) Validate(where Where) error {
	var f findings
	f.name(r.Name)
	f.hostname(r.Spec.Hostname)
	f.alias(r.Spec.Alias)
	seen := map[string]bool{}
	for i, app := range r.Spec.AppAccess {
		key := fmt.Sprintf("spec.appAccess[%d]", i)
		f.slug(key, app)
		if seen[app] {
			f.add(key, "is there twice", "keep one of them")
		}
		seen[app] = true
	}
	f.patterns("spec.repositories", r.Spec.Repositories, oci.ParseRepositoryPattern,
		"write a repository such as team/api, or a pattern such as team/* or team/**")
	f.registryCredentials(r.Spec.Credentials, where)
	f.tokenRealms(r.Spec.TokenRealms)
	for _, err := range flatten(strictyaml.CheckCABundle("", "spec.caCertData", r.Spec.CACertData)) {
		f = append(f, err)
	}
	return errors.Join(f...)
}

func (f *findings) hostname(host string) {
	const longest = 259
	const key = "spec.hostname"
	switch {
	case host == "":
		f.add(key, "is not set", "write host or host:port")
	case strings.Contains(host, "://"):
		f.add(key, "has a scheme", "write host or host:port; plainHTTP: true is for registries without TLS")
	case strings.Contains(host, "/"):
		f.add(key, "has a path", "write host or host:port alone: an ExternalRegistry is a registry as a whole")
	case len(host) > longest, !oci.IsHost(host):
		f.add(key, "is not a host name", "write host or host:port")
	case !strings.ContainsAny(host, ".:") && !strings.EqualFold(host, "localhost"):
		f.add(key, "would be read as a user of Docker Hub", "write a name with a dot or a port")
	}
}

// patterns takes patterns that parse understands.
func (f *findings) patterns(key string, texts []string, parse func(string) (oci.ImagePattern, error), remedy string) {
	if len(texts) > MaxImages {
		f.add(key, fmt.Sprintf("has more than %d entries", MaxImages), "write fewer, with * and **")
	}
	seen := map[string]bool{}
	for i, text := range texts {
		each := fmt.Sprintf("%s[%d]", key, i)
		if _, err := parse(text); err != nil {
			f.add(each, err.Error(), remedy)
		} else if seen[text] {
			f.add(each, "is there twice", "keep one of them")
		}
		seen[text] = true
	}
}

func (f *findings) tokenRealms(hosts []string) {
	const most, longest = 16, 259
	if len(hosts) > most {
		f.add("spec.tokenRealms", fmt.Sprintf("has more than %d entries", most), "keep those that the registry names")
	}
	seen := map[string]bool{}
	for i, host := range hosts {
		key := fmt.Sprintf("spec.tokenRealms[%d]", i)
		switch {
		case strings.Contains(host, "://"), strings.Contains(host, "/"):
			f.add(key, "has a scheme or a path", "write host or host:port; it is asked by https")
		case len(host) > longest, !oci.IsHost(host):
			f.add(key, "is not a host", "write host or host:port")
		case seen[host]:
			f.add(key, "is there twice", "keep one of them")
		}
		seen[host] = true
	}
}

func (f *findings) alias(alias string) {
	const key = "spec.alias"
	switch alias {
	case "":
	case "library", "localhost":
		f.add(key, "stands for something else in references", "choose another name")
	default:
		f.slug(key, alias)
	}
}

func (f *findings) registryCredentials(c RegistryCredentials, where Where) {
	const key = "spec.credentials"
	var given []string
	for _, source := range []struct{ name, value string }{
		{"secretRef", c.SecretRef.Name}, {"dockerConfigFile", c.DockerConfigFile}, {"provider", c.Provider},
	} {
		if source.value != "" {
			given = append(given, source.name)
		}
	}
	if len(given) > 1 {
		f.add(key, "names "+strings.Join(given, " and "), "keep one of them")
	}
	if name := c.SecretRef.Name; name != "" {
		switch {
		case where == InDirectory:
			f.add(key+".secretRef", "needs a cluster to read the Secret from",
				"write dockerConfigFile: the path of a docker config.json")
		case len(validation.IsDNS1123Subdomain(name)) > 0:
			f.add(key+".secretRef.name", "is not the name of a Secret", "write lower-case letters, digits, dashes and dots")
		}
	}
	if c.DockerConfigFile != "" && where == InCluster {
		f.add(key+".dockerConfigFile", "has no meaning in a cluster",
			"write secretRef: {name: …}, a Secret of type kubernetes.io/dockerconfigjson")
	}
	if !slices.Contains([]string{"", "aws", "google", "azure"}, c.Provider) {
		f.add(key+".provider", "is unknown", "write aws, google or azure")
	}
}

func (f *findings) name(name string) {
	const key, remedy = "metadata.name", "write lower-case letters, digits, dashes and dots"
	switch {
	case name == "":
		f.add(key, "is missing", remedy)
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		f.add(key, "is not the name of an object", remedy)
	}
}

// slug takes what is one segment of a path.
func (f *findings) slug(key, slug string) {
	const remedy = "write up to 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
	switch {
	case slug == "":
		f.add(key, "is missing", remedy)
	case len(validation.IsDNS1123Label(slug)) > 0:
		f.add(key, "is not a slug", remedy)
	}
}

// text takes what people read.
func (f *findings) text(key, text string, least, most int) {
	switch length := utf8.RuneCountInString(text); {
	case length < least:
		f.add(key, "is not set", "write it")
	case length > most:
		f.add(key, fmt.Sprintf("is longer than %d characters", most), "shorten it")
	case strings.ContainsFunc(text, unicode.IsControl):
		f.add(key, "has control characters", "remove them")
	}
}

// time takes a time, or nothing.
func (f *findings) time(key, text string) {
	if _, err := ParseTime(text); err != nil {
		f.add(key, err.Error(), "write it like 2027-01-01T00:00:00Z")
	}
}

// ParseTime reads a time as the objects have it (RFC 3339); of nothing it is the zero time, and of nothing
// else.
func ParseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return time.Time{}, errors.New("is not a time of RFC 3339")
	case t.Unix() < 0:
		return time.Time{}, errors.New("is before 1970")
	}
	return t, nil
}

// flatten returns the errors that were joined.
func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}
