// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const uploads = "/v2/source/blobs/uploads/"

func layer() []byte { return bytes.Repeat([]byte("layer "), 2000) }

// tokens is a proxy before a registry that asks for tokens from a realm on its own domain.
func tokens(t *testing.T, cfg proxytest.Config) (*proxytest.Proxy, *registrytest.Registry, *registrytest.Realm) {
	t.Helper()
	p, registry := proxytest.Simple(t, cfg)
	realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: proxytest.Password, ExpiresIn: 300}
	p.Network.Serve("auth.example.com", realm)
	registry.GuardBy(realm.Guard)
	return p, registry, realm
}

func toRealm() func(registrytest.Request) bool { return registrytest.To("auth.example.com") }

// quirk A1: an upstream can name any token realm and would receive the password: the realm is pinned.
func TestQuirkA1ForeignRealms(t *testing.T) {
	for _, realm := range []string{
		"https://auth.example.net/token", "https://registry.example.com.evil.net/token", "https://evilexample.com/token",
		"http://auth.example.com/token", "http://auth.example.net/token", "https://registry.example.com@auth.example.net/token",
		"https://user:pw@auth.example.com/token", "//auth.example.net/token", "/token", "", "https://", "file:///etc/passwd", "https://192.0.2.1/token",
		"https://auth.docker.io/token", "https://com/token",
	} {
		t.Run(realm, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			elsewhere := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token":"t"}`)) })
			for _, host := range []string{"auth.example.net", "registry.example.com.evil.net", "evilexample.com", "192.0.2.1", "auth.docker.io"} {
				p.Network.Serve(host, elsewhere)
			}
			for _, host := range []string{"registry.example.com", "auth.example.com"} {
				p.Network.ServePlain(host, elsewhere)
			}
			registry.GuardBy((&registrytest.Realm{URL: realm}).Guard)
			p.Do("POST", uploads).Fails(403, oci.Denied).Says("the operator").Says("token_realms").Lacks("WWW-Authenticate")
			p.Network.None(registrytest.With("Authorization"))
			p.Network.None(registrytest.Mentions("token"), func(r registrytest.Request) bool { return r.Path != "/v2/" && !strings.HasPrefix(r.Path, "/v2/") })
		})
	}
}

// quirk A1, the other side: realms that belong to the registry.
func TestQuirkA1RealmsOfItsOwn(t *testing.T) {
	for _, test := range []struct{ registry, realm string }{
		{"registry.example.com", "registry.example.com"},
		{"registry.example.com", "auth.example.com"},
		{"registry.example.com:5000", "registry.example.com"},
		{"registry.corp.internal", "registry.corp.internal:8443"},
		{"docker.io", "auth.docker.io"},
		{"nvcr.io", "authn.nvidia.com"},
	} {
		t.Run(test.registry+" "+test.realm, func(t *testing.T) {
			network, registry := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
			realm := &registrytest.Realm{URL: "https://" + test.realm + "/token", User: proxytest.User, Password: proxytest.Password}
			registry.GuardBy(realm.Guard)
			api := strings.Replace(test.registry, "docker.io", "registry-1.docker.io", 1)
			both := http.NewServeMux()
			both.Handle("/token", realm)
			both.Handle("/v2/", registry)
			network.Serve(api, both)
			if test.realm != api {
				network.Serve(test.realm, both)
			}
			proxytest.New(t, network, proxytest.Config{Host: test.registry}).Do("POST", uploads).Is(202)
			network.One(registrytest.Sent("GET", "/token"), registrytest.With("Authorization"))
		})
	}
}

// quirk A1: a realm that was good once opens nothing for one that is named later.
func TestQuirkA1ARealmThatTurnsForeign(t *testing.T) {
	p, registry, _ := tokens(t, proxytest.Config{})
	p.Do("POST", uploads).Is(202)
	p.Network.Serve("auth.example.net", http.NotFoundHandler())
	registry.GuardBy((&registrytest.Realm{URL: "https://auth.example.net/token"}).Guard)
	p.Do("POST", uploads).Fails(403, oci.Denied)
	p.Network.None(registrytest.To("auth.example.net"))
}

// quirk A2: a token is for one credential, repository and scope; it must not serve another tenant.
func TestQuirkA2TokensAreNotShared(t *testing.T) {
	credential := keychain.Credential{Username: proxytest.User, Password: proxytest.Password}
	p, _, realm := tokens(t, proxytest.Config{AllowSubRepositories: true, Keychain: keychain.Func(func(context.Context, string) (keychain.Credential, error) { return credential, nil })})
	sent := func() string {
		t.Helper()
		requests := p.Network.Requests(registrytest.Sent("POST", "/uploads/"))
		return requests[len(requests)-1].Header.Get("Authorization")
	}
	p.Do("POST", uploads).Is(202)
	first := sent()
	p.Do("POST", uploads).Is(202)
	if sent() != first {
		t.Error("the second request of the same kind did not use the first one's token")
	}
	p.Do("POST", "/v2/source/sub/blobs/uploads/").Is(202)
	if sent() == first {
		t.Error("another repository was shown the same token")
	}
	credential.Password, realm.Password = "another", "another"
	p.Do("POST", uploads).Is(202)
	if sent() == first {
		t.Error("another credential was shown as the same token")
	}
	p.Network.Count(3, toRealm())
}

// quirk A2: a challenge that names another repository does not get its way.
func TestQuirkA2ChallengeForAnotherRepository(t *testing.T) {
	p, registry, realm := tokens(t, proxytest.Config{})
	registry.When("POST", "/uploads/").Answer(401, "", "WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,scope="repository:team/secret:pull,push repository:team/code:delete"`, realm.URL))
	p.Do("POST", uploads).Fails(403, oci.Denied)
	p.Network.None(toRealm(), registrytest.Mentions("team%2Fsecret"))
}

// quirk A3: two scopes are honoured differently; GitLab and some others read only one. The upload is then
// started plain.
func TestQuirkA3TwoScopes(t *testing.T) {
	mount := uploads + "?mount=" + registrytest.Digest(layer()) + "&from=source/other"
	for name, grant := range map[string]func([]string) []string{
		"first only": func(asked []string) []string { return asked[:1] },
		"last only":  func(asked []string) []string { return asked[len(asked)-1:] },
		"both":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			p, registry, realm := tokens(t, proxytest.Config{AllowSubRepositories: true})
			realm.Grant = grant
			registry.PutBlob(proxytest.Repository+"/other", layer())
			if grant == nil {
				p.Do("POST", mount).Is(201).Has("Location", "/v2/source/blobs/"+registrytest.Digest(layer()))
				asked := p.Network.One(toRealm())
				if want := "scope=repository%3Ateam%2Fcode%3Apull%2Cpush&scope=repository%3Ateam%2Fcode%2Fother%3Apull"; !strings.Contains(asked.Query, want) {
					t.Errorf("the realm was asked %s, want %s in it", asked.Query, want)
				}
				return
			}
			p.Do("POST", mount).Is(202).Location()
		})
	}
}

// quirk A3: a token server that refuses two scopes altogether does not refuse the credential.
func TestQuirkA3TwoScopesRefused(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{AllowSubRepositories: true})
			realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: proxytest.User, Password: proxytest.Password}
			registry.GuardBy(realm.Guard)
			p.Network.Serve("auth.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if len(r.URL.Query()["scope"]) > 1 {
					w.WriteHeader(status)
					return
				}
				realm.ServeHTTP(w, r)
			}))
			p.Do("POST", uploads+"?mount="+registrytest.Digest(layer())+"&from=source/other").Is(202)
			p.PushBlob(layer())
		})
	}
}

// quirk A4: ask for pull,push, never push alone; Quay refuses delete in a scope, so it is asked for only
// where the registry wants it.
func TestQuirkA4Scopes(t *testing.T) {
	p, registry, _ := tokens(t, proxytest.Config{AllowDelete: true})
	digest := registry.PutManifest(proxytest.Repository, "application/json", []byte("{}"), "v1")
	p.PushBlob(layer())
	p.Do("GET", "/v2/source/tags/list").Is(200)
	p.Do("DELETE", "/v2/source/manifests/"+digest).Is(202)
	var asked []string
	for _, r := range p.Network.Requests(toRealm()) {
		asked = append(asked, r.Query)
	}
	want := []string{
		"scope=repository%3Ateam%2Fcode%3Apull%2Cpush&service=registry.test",
		"scope=repository%3Ateam%2Fcode%3Apull%2Cpush%2Cdelete&service=registry.test",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("the realm was asked (-want +got):\n%s", diff)
	}
}

// quirk A5: tokens live 60 s to 15 min: every PATCH and PUT has a fresh one; one that the registry no longer
// takes is replaced before the body is spent.
func TestQuirkA5TokenExpiresDuringAnUpload(t *testing.T) {
	p, registry, realm := tokens(t, proxytest.Config{})
	location := p.Start()
	realm.Revoke()
	next := p.Do("PATCH", location, proxytest.Body(layer())).Is(202).Location()
	realm.Revoke()
	p.Finish(next, layer()).Is(201)
	registry.Holds(proxytest.Repository, layer())
	if read := p.Network.Requests(registrytest.Sent("PATCH", ""), func(r registrytest.Request) bool { return len(r.Body) > 0 }); len(read) != 1 || !bytes.Equal(read[0].Body, layer()) {
		t.Errorf("the body was sent %d times", len(read))
	}
}

// quirk A6: docker configs of ACR carry an identity token and no password: OAuth2 POST first.
func TestQuirkA6IdentityToken(t *testing.T) {
	p, _, realm := tokens(t, proxytest.Config{Keychain: proxytest.Fixed(keychain.Credential{Username: "00000000-0000-0000-0000-000000000000", IdentityToken: "refresh-token"})})
	realm.RefreshToken = "refresh-token"
	p.PushBlob(layer())
	asked := p.Network.One(toRealm())
	if want := "client_id=local-source-proxy&grant_type=refresh_token&refresh_token=refresh-token&scope=repository%3Ateam%2Fcode%3Apull%2Cpush&service=registry.test"; asked.Method != "POST" || string(asked.Body) != want {
		t.Errorf("%s with %s, want POST with %s", asked.Method, asked.Body, want)
	}
}

// quirk A6: GET is the fallback, with the identity token as password of the user without a name.
func TestQuirkA6IdentityTokenByGet(t *testing.T) {
	for _, user := range []string{"", "<token>", "00000000-0000-0000-0000-000000000000"} {
		p, _, realm := tokens(t, proxytest.Config{Keychain: proxytest.Fixed(keychain.Credential{Username: user, IdentityToken: "refresh-token"})})
		realm.User, realm.Password = "00000000-0000-0000-0000-000000000000", "refresh-token"
		p.PushBlob(layer())
		p.Network.Count(1, toRealm(), registrytest.Sent("POST", ""))
		p.Network.Count(1, toRealm(), registrytest.Sent("GET", ""))
	}
}

// quirk A6: tag lists need metadata_read on ACR, and the challenge says so.
func TestQuirkA6MetadataRead(t *testing.T) {
	p, registry, realm := tokens(t, proxytest.Config{})
	registry.When("GET", "/tags/list").Times(1).Answer(401, "", "WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="registry.test",scope="repository:team/code:metadata_read"`, realm.URL))
	p.Do("GET", "/v2/source/tags/list").Is(200)
	p.Network.One(toRealm(), registrytest.Mentions("pull%2Cpush%2Cmetadata_read"))
}

// quirk A7: ECR's credential is Basic AWS:<token>; a missing repository closes the connection abruptly.
func TestQuirkA7MissingRepositoryOnECR(t *testing.T) {
	const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	p, registry := proxytest.Simple(t, proxytest.Config{Host: ecr, Keychain: proxytest.Fixed(keychain.Credential{Username: "AWS", Password: "twelve-hours"})})
	registry.GuardBy(registrytest.Basic("AWS", "twelve-hours"))
	p.PushBlob(layer())
	registry.When("POST", "/uploads/").BreakOff()
	p.Do("POST", uploads).Fails(502, oci.Unavailable).Says("create it").Hides(ecr)
}

// quirk A8: a real request may get a 401 without WWW-Authenticate (gcr.io): the scheme is learnt from /v2/.
func TestQuirkA8MuteRefusals(t *testing.T) {
	p, registry, realm := tokens(t, proxytest.Config{})
	realm.Mute = true
	p.PushBlob(layer())
	realm.Revoke()
	p.PushBlob(append(layer(), 'x'))
	registry.Holds(proxytest.Repository, layer())
}

// quirk A8, the other side: a registry that lets strangers in at /v2/ says what it wants where it wants it.
func TestQuirkA8NoGreeting(t *testing.T) {
	for _, status := range []int{200, 404, 403} {
		p, registry, _ := tokens(t, proxytest.Config{})
		registry.When("GET", "/v2/").Times(1).Answer(status, "")
		p.PushBlob(layer())
		registry.Holds(proxytest.Repository, layer())
	}
}

// quirk A9: Docker Hub's three names are one; its API and its token server are elsewhere; credentials are
// looked for under one name.
func TestQuirkA9DockerHub(t *testing.T) {
	for _, name := range []string{"docker.io", "index.docker.io", "registry-1.docker.io"} {
		network, registry := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
		realm := &registrytest.Realm{URL: "https://auth.docker.io/token", User: proxytest.User, Password: proxytest.Password}
		registry.GuardBy(realm.Guard)
		network.Serve("registry-1.docker.io", registry)
		network.Serve("auth.docker.io", realm)
		p := proxytest.New(t, network, proxytest.Config{Host: name, Keychain: keychain.Func(func(_ context.Context, host string) (keychain.Credential, error) {
			if host != "index.docker.io" {
				t.Errorf("the credential of %s was asked for", host)
			}
			return keychain.Credential{Username: proxytest.User, Password: proxytest.Password}, nil
		})})
		p.PushBlob(layer())
		p.Do("HEAD", "/v2/source/manifests/v1").Is(404).Has("Lsp-Registry-Path", "index.docker.io/team/code")
		registry.Holds(proxytest.Repository, layer())
	}
}
