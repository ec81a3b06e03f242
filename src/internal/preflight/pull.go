// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Pull is what [CheckPull] looks at.
type Pull struct {
	Registry *upstream.Registry
	// Credential is where the registry's credential is, in words; empty: nowhere.
	Credential string
	Images     []Image
}

// Image is one of a registry.
type Image struct {
	Repository string
	// Reference is a tag or a digest.
	Reference string
}

func (i Image) String() string { return i.Repository + " " + i.Reference }

// CheckPull checks the way of pulls from a registry, and reports each step as it is done. Without an image it
// finds out whether the registry takes the credential, as far as the registry tells without one.
func CheckPull(ctx context.Context, p Pull, report func(diagnosis.Step)) error {
	c := &puller{Pull: p, way: way{
		registry: p.Registry, reach: p.Registry.Reach(),
		settings: settings{"spec.hostname", "spec.plainHTTP", "spec.caCertData", "spec.tokenRealms"},
	}}
	err := walk(ctx, append(c.steps(), step{"token", c.token}), report)
	if err == nil && len(p.Images) == 0 {
		report(diagnosis.Step{
			Name: "pull", Status: diagnosis.Skipped, Detail: "no image of this registry is named: --image tries one",
		})
	}
	if err != nil {
		return err
	}
	for _, image := range p.Images {
		try := func(ctx context.Context) (diagnosis.Step, error) { return c.pull(ctx, image) }
		err = errors.Join(err, walk(ctx, []step{{"pull", try}}, report))
	}
	return err
}

type puller struct {
	Pull
	way
}

// token finds out what the registry thinks of the credential.
func (c *puller) token(ctx context.Context) (diagnosis.Step, error) {
	there, standing, err := c.registry.Standing(ctx)
	realm, foreign := errors.AsType[*upstream.RealmError](err)
	_, told := errors.AsType[*upstream.Refusal](err)
	switch {
	case foreign:
		return diagnosis.Step{Remedy: realm.Remedy(c.settings.tokenRealms)}, err
	case standing == upstream.Refused && there:
		return diagnosis.Step{Remedy: "the registry does not know this user name and password: correct them in " + c.Credential},
			errors.New("the registry refuses the credential, whatever the repository")
	case standing == upstream.Refused:
		return diagnosis.Step{Remedy: nameCredential}, errors.New("the registry wants a credential, and there is none")
	case standing == upstream.Accepted && there:
		return diagnosis.Step{Detail: "the registry takes the credential of " + c.Credential}, nil
	case standing == upstream.Accepted:
		return diagnosis.Step{Detail: "no credential is named, and the registry lets strangers in: to what is public"}, nil
	case standing == upstream.Unknown && told:
		return diagnosis.Step{Remedy: "correct " + cmp.Or(c.Credential, "spec.credentials")}, err
	case err != nil && !told:
		return diagnosis.Step{Remedy: "see what the registry's token server, or its log, says about it"}, err
	default:
		return diagnosis.Step{Status: diagnosis.Skipped,
			Detail: "the registry does not tell whether it takes the credential before an image is asked for"}, nil
	}
}

const nameCredential = "name a credential for this registry in spec.credentials"

// pull asks for what a client begins with: the manifest, and a blob that it names, which may be kept elsewhere.
func (c *puller) pull(ctx context.Context, image Image) (diagnosis.Step, error) {
	content, err := c.get(ctx, image, "/manifests/"+image.Reference, false)
	if err != nil {
		return diagnosis.Step{Remedy: c.pullRemedy(err)}, fmt.Errorf("%s: read the manifest: %w", image, err)
	}
	digest, list := firstOf(content)
	if list {
		if content, err = c.get(ctx, image, "/manifests/"+digest, false); err != nil {
			return diagnosis.Step{Remedy: c.pullRemedy(err)}, fmt.Errorf("%s: read the manifest of its first platform: %w", image, err)
		}
		digest, _ = firstOf(content)
	}
	if digest != "" {
		if _, err = c.get(ctx, image, "/blobs/"+digest, true); err != nil {
			return diagnosis.Step{
				Remedy: "the registry may keep blobs on another host: see that it can be reached from here (egress), and what its log says",
			}, fmt.Errorf("%s: read a blob: %w", image, err)
		}
	}
	return diagnosis.Step{Detail: image.String() + " can be pulled"}, nil
}

// maxManifest is how much of a manifest is looked at, in bytes.
const maxManifest = 4 << 20

func (c *puller) get(ctx context.Context, image Image, path string, download bool) ([]byte, error) {
	u, err := c.registry.URL(ctx, "/v2/"+image.Repository+path, "")
	if err != nil {
		return nil, err
	}
	ctx = upstream.WithCall(ctx, upstream.Call{
		Operation: "check", Scopes: []upstream.Scope{upstream.Pull(image.Repository)}, Download: download,
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header["Accept"] = []string{
		"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json", "*/*",
	}
	resp, err := c.registry.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, failure(c.registry, resp)
	}
	defer resp.Body.Close()
	if download {
		// That it begins is enough: what it holds is of no interest here.
		_, err := io.CopyN(io.Discard, resp.Body, 1)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxManifest))
}

// firstOf returns a digest that a manifest names: of its configuration, or of the first manifest of a list.
// Empty: it names none.
func firstOf(manifest []byte) (digest string, list bool) {
	type descriptor struct{ Digest string }
	var content struct {
		Config    descriptor
		Manifests []descriptor
	}
	if json.Unmarshal(manifest, &content) == nil && len(content.Manifests) > 0 {
		return content.Manifests[0].Digest, content.Manifests[0].Digest != ""
	}
	return content.Config.Digest, false
}

func (c *puller) pullRemedy(err error) string {
	status := 0
	if answer, ok := errors.AsType[*Failure](err); ok {
		status = answer.Status
	}
	if refusal, ok := errors.AsType[*upstream.Refusal](err); ok {
		status = refusal.Status
	}
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	switch {
	case refused && c.Credential == "":
		return nameCredential + ", or check the image's name"
	case refused:
		return "give the account of " + c.Credential + " the right to pull from this repository, or check the image's name"
	case status == http.StatusNotFound:
		return "check the image's name and tag; many registries also say so when the account may not read it"
	default:
		return "see what the registry's own log says about the request"
	}
}
