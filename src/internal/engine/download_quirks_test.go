// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const (
	manifests = "/v2/source/manifests/"
	mediaType = "application/vnd.docker.distribution.manifest.v2+json"
)

func manifest() []byte { return []byte("{\n \"schemaVersion\": 2 }\n") }

// quirk D1: 307 to object storage: never with Authorization, also not to a subdomain or another port; the
// server follows it.
func TestQuirkD1RedirectsLeaveTheCredentialBehind(t *testing.T) {
	for _, storage := range []string{"storage.example.net", "blobs.registry.example.com", "registry.example.com:5443", "example.com"} {
		t.Run(storage, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
			registry.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
			blobs := registrytest.NewRegistry(t)
			digest := blobs.PutBlob("bucket", layer())
			p.Network.Serve(storage, blobs)
			registry.When("", "/blobs/sha256").Answer(307, "", "Location", "https://"+storage+"/v2/bucket/blobs/"+digest+"?X-Amz-Signature=abc%2Fdef")
			got := p.Do("GET", "/v2/source/blobs/"+digest, proxytest.Header("Range", "bytes=6-10")).Is(206).Has("Content-Range", "bytes 6-10/12000")
			if string(got.Body) != "layer" {
				t.Errorf("got %q", got.Body)
			}
			p.Do("HEAD", "/v2/source/blobs/"+digest).Is(200).Has("Content-Length", "12000").Lacks("Location")
			p.Network.Count(2, registrytest.To(storage), func(r registrytest.Request) bool { return r.Query == "X-Amz-Signature=abc%2Fdef" })
			p.Network.None(registrytest.To(storage), registrytest.With("Authorization"))
			p.Network.None(registrytest.To(storage), registrytest.With("Cookie"))
		})
	}
}

// quirk D1: a redirect within the registry has the credential again, and one that never ends is given up.
func TestQuirkD1RedirectsToTheRegistryItself(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	registry.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
	digest := registry.PutBlob("elsewhere", layer())
	registry.When("GET", "/team/code/blobs/").Answer(302, "", "Location", "/v2/elsewhere/blobs/"+digest)
	if got := p.Do("GET", "/v2/source/blobs/"+digest).Is(200); !bytes.Equal(got.Body, layer()) {
		t.Errorf("got %d bytes", len(got.Body))
	}
	registry.When("GET", "/blobs/").Answer(302, "", "Location", "/v2/elsewhere/blobs/"+digest)
	p.Do("GET", "/v2/source/blobs/"+digest).Fails(502, oci.Unavailable).Hides("elsewhere")
}

// quirk D1: the operator can leave redirects to the client; those of anything but a blob are still none of
// its business.
func TestQuirkD1RedirectsArePassedOn(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true, PassRedirects: true})
	location := "https://storage.example.net/x?X-Amz-Signature=abc%2Fdef"
	registry.When("", "/team/code/").Answer(307, "<a href='elsewhere'>", "Location", location, "Set-Cookie", "a=b")
	digest := registrytest.Digest(layer())
	got := p.Do("GET", "/v2/source/blobs/"+digest).Is(307).Has("Location", location).Lacks("Set-Cookie")
	if len(got.Body) > 0 {
		t.Errorf("the redirect has a body: %s", got.Body)
	}
	p.Do("HEAD", "/v2/source/blobs/"+digest).Is(307).Has("Location", location)
	registry.When("HEAD", "/team/code/").Answer(307, "", "Location", "https://storage.example.net/a b?c=d e")
	p.Do("HEAD", "/v2/source/blobs/"+digest).Is(307).Has("Location", "https://storage.example.net/a%20b?c=d%20e")
	p.Do("GET", manifests+"latest").Fails(502, oci.Unavailable).Hides("storage")
	p.Do("POST", uploads).Fails(502, oci.Unavailable).Hides("storage")
}

// quirk D2: Docker-Content-Digest is missing on ECR, Artifactory's HEAD, Nexus and others: it is computed for
// manifests.
func TestQuirkD2MissingDigest(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("", "/manifests/").Edit(func(status int, header http.Header) int {
		header.Del("Docker-Content-Digest")
		return status
	})
	digest := registrytest.Digest(manifest())
	p.Do("PUT", manifests+"v1", proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType)).Is(201).
		Has("Docker-Content-Digest", digest).Has("Location", manifests+digest)
	p.Do("PUT", manifests+"v1", proxytest.Stream(bytes.NewReader(manifest())), proxytest.Header("Content-Type", mediaType)).Is(201).Has("Docker-Content-Digest", digest)
	p.Do("PUT", manifests+digest, proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType)).Is(201).Has("Docker-Content-Digest", digest)
	for _, reference := range []string{"v1", digest} {
		for _, method := range []string{"GET", "HEAD"} {
			got := p.Do(method, manifests+reference).Is(200).Has("Docker-Content-Digest", digest).
				Has("Content-Type", mediaType).Has("Content-Length", fmt.Sprint(len(manifest())))
			if method == "GET" && !bytes.Equal(got.Body, manifest()) {
				t.Errorf("got %q", got.Body)
			}
		}
	}
	p.Do("HEAD", manifests+"v2").Is(404)
}

// quirk D3: bytes are asked for as they are; a registry that compresses manifests all the same is undone, and
// one that labels a blob so is passed on as it is, because nobody can tell what it means.
func TestQuirkD3Compression(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	digest := registry.PutManifest(proxytest.Repository, mediaType, manifest(), "v1")
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(manifest())
	_ = zip.Close()
	registry.When("", "/manifests/").Answer(200, packed.String(), "Content-Encoding", "gzip", "Content-Type", mediaType, "Docker-Content-Digest", digest)
	for _, method := range []string{"GET", "HEAD"} {
		p.Do(method, manifests+"v1", proxytest.Header("Accept-Encoding", "gzip")).Is(200).Lacks("Content-Encoding").
			Has("Docker-Content-Digest", digest).Has("Content-Length", fmt.Sprint(len(manifest()))).Says(map[string]string{"GET": string(manifest())}[method])
	}
	registry.When("GET", "/blobs/").Answer(200, packed.String(), "Content-Encoding", "gzip")
	if got := p.Do("GET", "/v2/source/blobs/"+digest).Is(200).Has("Content-Encoding", "gzip"); !bytes.Equal(got.Body, packed.Bytes()) {
		t.Errorf("a blob of %d bytes arrived with %d", packed.Len(), len(got.Body))
	}
	p.Network.None(func(r registrytest.Request) bool { return r.Header.Get("Accept-Encoding") != "identity" })
}

// quirk D3: a manifest that says it is compressed and is not, is an error, not a wrong manifest.
func TestQuirkD3CompressionThatIsNone(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("GET", "/manifests/").Answer(200, "{}", "Content-Encoding", "gzip")
	p.Do("GET", manifests+"v1").Fails(502, oci.Unavailable)
}

// quirk D4: Link is relative or absolute: both are mapped; name in a tags list is the upstream's: it is
// mapped too.
func TestQuirkD4TagsInPages(t *testing.T) {
	for _, link := range []string{
		`</v2/team/code/tags/list?last=b%2B&n=2>; rel="next"`,
		`<https://registry.example.com/v2/team/code/tags/list?last=b%2B&n=2>; rel="next"`,
		`<http://10.0.0.7:5000/internal/tags?last=b%2B&n=2>; rel=next`,
		`<?last=b%2B&n=2>; rel="next"`,
	} {
		p, registry := proxytest.Simple(t, proxytest.Config{})
		registry.When("GET", "/tags/list").Answer(200, `{"name":"team/code","tags":["a","b"],"child":["x"]}`, "Link", link)
		got := p.Do("GET", "/v2/source/tags/list?n=2").Is(200).Has("Link", `</v2/source/tags/list?last=b%2B&n=2>; rel="next"`).Has("Content-Type", "application/json")
		if want := `{"name":"source","tags":["a","b"],"child":["x"]}`; string(got.Body) != want {
			t.Errorf("got %s, want %s", got.Body, want)
		}
	}
}

// quirk D4: the pages of a list lead to its end.
func TestQuirkD4AllPages(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.PutManifest(proxytest.Repository, mediaType, manifest(), "a", "b", "c", "d", "e")
	p.Do("GET", "/v2/source/tags/list?n=2").Says(`["a","b"]`).Has("Link", `</v2/source/tags/list?last=b&n=2>; rel="next"`)
	p.Do("GET", "/v2/source/tags/list?last=d&n=2").Says(`["e"]`).Lacks("Link")
}

// quirk D5: ECR refuses n over 1000.
func TestQuirkD5LargePages(t *testing.T) {
	for query, want := range map[string]string{
		"n=1001": "n=1000", "last=a&n=99999999": "last=a&n=1000", "n=1000&last=b": "n=1000&last=b", "n=0": "n=0", "n=x": "n=x", "": "", "n=-5": "n=-5",
		"n=99999999999999999999999": "n=1000",
	} {
		p, _ := proxytest.Simple(t, proxytest.Config{})
		p.Do("GET", "/v2/source/tags/list?"+query).Is(200)
		if sent := p.Network.One(registrytest.Sent("GET", "/tags/list")); sent.Query != want {
			t.Errorf("%s was asked for as %s, want %s", query, sent.Query, want)
		}
	}
}

// quirk D5: tag lists may be null.
func TestQuirkD5NoTags(t *testing.T) {
	for _, body := range []string{`{"name":"team/code","tags":null}`, `{"name":"team/code"}`} {
		p, registry := proxytest.Simple(t, proxytest.Config{})
		registry.When("GET", "/tags/list").Answer(200, body)
		if got := p.Do("GET", "/v2/source/tags/list").Is(200); string(got.Body) != `{"name":"source","tags":[]}` {
			t.Errorf("%s became %s", body, got.Body)
		}
	}
}

// quirk D5: "not found" comes as UNKNOWN, NAME_UNKNOWN or MANIFEST_UNKNOWN, or without a word.
func TestQuirkD5NotFound(t *testing.T) {
	digest := registrytest.Digest(layer())
	for _, test := range []struct {
		body, target string
		want         oci.Code
	}{
		{`{"errors":[{"code":"UNKNOWN"}]}`, manifests + "v1", oci.ManifestUnknown},
		{`{"errors":[{"code":"NAME_UNKNOWN"}]}`, manifests + "v1", oci.NameUnknown},
		{`{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, manifests + "v1", oci.ManifestUnknown},
		{``, manifests + "v1", oci.ManifestUnknown},
		{`{"errors":[{"code":"UNKNOWN"}]}`, "/v2/source/blobs/" + digest, oci.BlobUnknown},
		{`{"errors":[{"code":"UNKNOWN"}]}`, "/v2/source/tags/list", oci.NameUnknown},
	} {
		p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
		registry.When("GET", "/team/code").Answer(404, test.body, "Content-Type", "application/json")
		p.Do("GET", test.target).Fails(404, test.want)
	}
}

// quirk D6: a 404 for referrers must stay one, and OCI-Filters-Applied must pass.
func TestQuirkD6Referrers(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	subject := registry.PutManifest(proxytest.Repository, mediaType, manifest(), "v1")
	signature := []byte(`{"artifactType":"application/x-signature","subject":{"digest":"` + subject + `"}}`)
	digest := p.Do("PUT", manifests+registrytest.Digest(signature), proxytest.Body(signature), proxytest.Header("Content-Type", mediaType)).Is(201).Header.Get("Docker-Content-Digest")
	p.Do("GET", "/v2/source/referrers/"+subject+"?artifactType=application/x-signature").Is(200).
		Has("OCI-Filters-Applied", "artifactType").Has("Content-Type", "application/vnd.oci.image.index.v1+json").Says(digest)
	registry.When("GET", "/referrers/").Times(1).Answer(200, "{}", "Link", `<https://registry.example.com/v2/team/code/referrers/x?page=2>; rel="next"`)
	p.Do("GET", "/v2/source/referrers/"+subject).Is(200).Has("Link", "</v2/source/referrers/"+subject+`?page=2>; rel="next"`)
	registry.When("GET", "/referrers/").Answer(404, "404 page not found\n", "Content-Type", "text/plain")
	p.Do("GET", "/v2/source/referrers/"+subject).Fails(404, oci.Unsupported).Says("404 page not found")
}

// quirk D10: a registry without referrers answers a bare 404. With NAME_UNKNOWN there, oras-go takes the
// repository to be missing; with any other code it falls back to the tag.
func TestQuirkD10ReferrersWithoutAnAPI(t *testing.T) {
	for body, want := range map[string]oci.Code{
		"404 page not found\n":            oci.Unsupported,
		"":                                oci.Unsupported,
		`{"errors":[]}`:                   oci.Unsupported,
		`{"errors":[{"code":"UNKNOWN"}]}`: oci.Unsupported,
		`{"errors":[{"code":"NOT_FOUND","message":"no"}]}`:    "NOT_FOUND",
		`{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`:            oci.ManifestUnknown,
		`{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}`: oci.NameUnknown,
	} {
		p, registry := proxytest.Simple(t, proxytest.Config{})
		registry.When("GET", "/referrers/").Answer(404, body)
		p.Do("GET", "/v2/source/referrers/"+registrytest.Digest(manifest())).Fails(404, want)
	}
}

// quirk D6: signatures live in tags of the form sha256-….sig too.
func TestQuirkD6SignatureTags(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	tag := "sha256-" + registrytest.Digest(manifest())[7:] + ".sig"
	p.Do("PUT", manifests+tag, proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType)).Is(201)
	if stored, ok := registry.Tagged(proxytest.Repository, tag); !ok || !bytes.Equal(stored.Content, manifest()) {
		t.Errorf("tag %s holds %q", tag, stored.Content)
	}
	p.Do("HEAD", manifests+tag).Is(200)
}

// quirk D7: one HTTP/2 connection to an upstream is one TCP flow: HTTP/1.1, also where the registry offers
// HTTP/2.
func TestQuirkD7NoHTTP2Upstream(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	p.PushBlob(layer())
	p.Network.None(func(r registrytest.Request) bool { return r.Proto != "HTTP/1.1" })
}

// quirk D8: digests are global, tenants are not: a blob is asked for in the configured repository, and
// mounted from no other.
func TestQuirkD8BlobsOfOtherRepositories(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	secret := registry.PutBlob("team/secret", []byte("secret"))
	p.Do("GET", "/v2/source/blobs/"+secret).Fails(404, oci.BlobUnknown)
	for _, from := range []string{"team/secret", "source/../secret", "", "source/secret"} {
		p.Do("POST", uploads+"?mount="+secret+"&from="+from).Is(202).Location()
	}
	p.Do("GET", "/v2/source/blobs/"+secret).Fails(404, oci.BlobUnknown)
	p.Network.None(registrytest.Mentions("mount"))
	p.Network.None(registrytest.Mentions("team/secret"))
}

// quirk D9: bytes are never converted: media type and digest of what was pushed are what is stored.
func TestQuirkD9NothingIsConverted(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	for _, kind := range []string{mediaType, "application/vnd.docker.distribution.manifest.v1+prettyjws", "application/vnd.oci.image.manifest.v1+json", "application/x-unheard-of"} {
		content := append(manifest(), kind...)
		p.Do("PUT", manifests+"v1", proxytest.Body(content), proxytest.Header("Content-Type", kind)).Is(201)
		if stored, _ := registry.Tagged(proxytest.Repository, "v1"); stored.MediaType != kind || !bytes.Equal(stored.Content, content) {
			t.Errorf("%s was stored as %s: %q", kind, stored.MediaType, stored.Content)
		}
		if got := p.Do("GET", manifests+"v1", proxytest.Header("Accept", mediaType)).Is(200).Has("Content-Type", kind); !bytes.Equal(got.Body, content) {
			t.Errorf("%s came back as %q", kind, got.Body)
		}
	}
}

// TestNoOtherProtocol: a registry that switches protocols would get a tunnel to the client, around everything
// here.
func TestNoOtherProtocol(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("GET", "/tags/").Answer(101, "", "Connection", "Upgrade")
	p.Do("GET", "/v2/source/tags/list").Fails(502, oci.Unavailable)
}

// TestBodiesThatAreNotPartOfTheAPI stay here: registries say things in them.
func TestBodiesThatAreNotPartOfTheAPI(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowDelete: true})
	registry.When("", "/manifests/").AnswerOnceRead(200, "stored on registry.example.com", "Content-Type", "text/plain")
	for method, status := range map[string]int{"PUT": 201, "DELETE": 202} {
		if answer := p.Do(method, manifests+"v1", proxytest.Body(manifest())).Is(status).Lacks("Content-Type"); len(answer.Body) > 0 {
			t.Errorf("%s: %s", method, answer.Body)
		}
	}
}
