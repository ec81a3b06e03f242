// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestOwner is one namespace, which the tag alone decides.
func TestOwner(t *testing.T) {
	long := strings.Repeat("a", 63)
	hex := strings.Repeat("0a", 32)
	for tag, owner := range map[string]string{
		"team-web": "team", "team-a-web": "team-a", "team_a-web": "team", "team-a_b-web": "team-a", "team_web": "team",
		"team-1.0-rc1": "team", "team-1.0_rc-1": "team", "team-Web-x": "team", "team--web": "team", "team-a--web": "team-a",
		"team": "", "team-": "", "team_": "", "latest": "", "-web": "", "_web": "", "Team-web": "", "v1.0-web": "", ".x-y": "",
		long + "-x": long, long + "a-x": "", "a-" + long + "_x": "a", "0-x": "0",
		"sha256-" + hex: "", "sha256-" + hex + ".sig": "", "sha256-" + hex + ".imgpkg": "", "sha512-" + hex + hex: "", "sha256-web": "sha256",
	} {
		if got := source.Owner(tag); got != owner {
			t.Errorf("%s is of %q, want %q", tag, got, owner)
		}
	}
}

// FuzzOwner judges by Kubernetes' own grammar: an owner can be a namespace and begins its tag, and every namespace
// can make a tag of its own out of whatever it likes.
func FuzzOwner(f *testing.F) {
	f.Add("team", "a-web")
	f.Add("team-a", "1.0_rc-1")
	f.Add("sha256", strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, namespace, rest string) {
		tag := namespace + "-" + rest
		if owner := source.Owner(tag); owner != "" && (len(validation.IsDNS1123Label(owner)) > 0 || !strings.HasPrefix(tag, owner) || !strings.ContainsAny(tag[len(owner):len(owner)+1], "-_")) {
			t.Errorf("%q is of %q", tag, owner)
		}
		if len(validation.IsDNS1123Label(namespace)) > 0 || rest == "" {
			return
		}
		if owner := source.Owner(namespace + "_" + rest); owner != namespace {
			t.Errorf("%q is of %q, want %q", namespace+"_"+rest, owner, namespace)
		}
		if owner := source.Owner(tag); owner != namespace && !strings.HasPrefix(owner, namespace+"-") && !strings.HasPrefix(tag, "sha") {
			t.Errorf("%q is of %q", tag, owner)
		}
	})
}

// TestNamespacesShareARepository: with tenancy "tags" a namespace has its own tags, and nothing that is common to
// all can be read, listed or deleted.
func TestNamespacesShareARepository(t *testing.T) {
	digest := registrytest.Digest(layer())
	manifest := proxytest.Body([]byte(`{"schemaVersion":2}`))
	p, registry, api := namespaced(t, proxytest.Config{Tenancy: source.Tags, AllowPull: true, AllowDelete: true})
	stored := pushed(t, api, below("team"), "team-web")
	registry.Holds("team/code", layer())
	api.Do("GET", below("team")+"/v2/source/manifests/team-web", byJane).Is(200).Has(source.PathHeader, "registry.example.com/team/code")
	api.Do("HEAD", below("team-a")+"/v2/source/manifests/"+stored, byJane).Is(200)
	api.Do("HEAD", below("team-a")+"/v2/source/blobs/"+digest, byJane).Is(200)
	pushed(t, api, below("team-a"), "team-a-web")
	hex := strings.TrimPrefix(stored, "sha256:")
	before := len(p.Network.Requests())
	for _, refused := range []struct {
		namespace, method, path string
		options                 []proxytest.Option
	}{
		{"team-a", "GET", "manifests/team-web", nil},
		{"team-a", "HEAD", "manifests/team-web", nil},
		{"team-a", "PUT", "manifests/team-web", []proxytest.Option{manifest}},
		{"team", "PUT", "manifests/team-a-web", []proxytest.Option{manifest}},
		{"team", "PUT", "manifests/team-a_web", []proxytest.Option{manifest}},
		{"team", "PUT", "manifests/team", []proxytest.Option{manifest}},
		{"team", "PUT", "manifests/latest", []proxytest.Option{manifest}},
		{"team", "PUT", "manifests/team-web?tag=team-a-web", []proxytest.Option{manifest}},
		{"team", "PUT", "manifests/" + stored + "?tag=team-a-web", []proxytest.Option{manifest}},
		{"sha256", "PUT", "manifests/sha256-" + hex, []proxytest.Option{manifest}},
		{"sha256", "PUT", "manifests/sha256-" + hex + ".sig", []proxytest.Option{manifest}},
		{"team-a", "GET", "manifests/sha256-" + hex + ".imgpkg", nil},
		{"team-a", "DELETE", "manifests/sha256-" + hex + ".imgpkg", nil},
		{"team-a", "DELETE", "manifests/team-web", nil},
		{"team-a", "DELETE", "manifests/" + stored, nil},
		{"team-a", "GET", "manifests/" + stored, nil},
		{"team-a", "GET", "blobs/" + digest, nil},
		{"team-a", "DELETE", "blobs/" + digest, nil},
		{"team-a", "GET", "tags/list", nil},
		{"team-a", "GET", "referrers/" + stored, nil},
	} {
		answer := api.Do(refused.method, below(refused.namespace)+"/v2/source/"+refused.path, append(refused.options, byJane)...)
		if refused.method == "HEAD" {
			answer.Is(403)
			continue
		}
		answer.Fails(403, oci.Denied)
	}
	if more := p.Network.Requests()[before:]; len(more) > 0 {
		t.Errorf("the registry was asked %v", more)
	}
}

// TestALockIsWhatItsNameSays: imgpkg's tag for a digest takes that content from anybody, and no other.
func TestALockIsWhatItsNameSays(t *testing.T) {
	_, registry, api := namespaced(t, proxytest.Config{Tenancy: source.Tags})
	right, other := []byte(`{"schemaVersion":2,"tag":"right"}`), []byte(`{"schemaVersion":2,"tag":"other"}`)
	digest := registrytest.Digest(right)
	tag := "sha256-" + strings.TrimPrefix(digest, "sha256:") + ".imgpkg"
	lock := below("team") + "/v2/source/manifests/" + tag
	for _, path := range []string{lock, below("team") + "/v2/source/manifests/team-web?tag=" + tag} {
		api.Do("PUT", path, byJane, proxytest.Body(other)).Fails(400, oci.DigestInvalid)
		api.Do("PUT", path, byJane, proxytest.Stream(bytes.NewReader(other))).Fails(400, oci.DigestInvalid)
		api.Do("PUT", path, byJane).Fails(400, oci.DigestInvalid)
	}
	if _, stored := registry.Tagged("team/code", tag); stored {
		t.Error("another manifest was stored")
	}
	api.Do("HEAD", lock, byJane).Is(404)
	api.Do("PUT", lock, byJane, proxytest.Body(right)).Is(201).Has("Docker-Content-Digest", digest)
	api.Do("HEAD", lock, byJane).Is(200).Has("Docker-Content-Digest", digest)
	api.Do("PUT", below("team")+"/v2/source/manifests/sha256-"+strings.Repeat("0", 64)+".imgpkg?tag="+tag, byJane, proxytest.Body(right)).
		Fails(400, oci.DigestInvalid)
}
