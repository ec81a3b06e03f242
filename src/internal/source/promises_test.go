// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const (
	uploads   = "/v2/source/blobs/uploads/"
	manifests = "/v2/source/manifests/"
)

func layer() []byte { return bytes.Repeat([]byte("layer "), 2000) }

// quirk K2, and the promise that nothing of the client's reaches the upstream but what it needs.
func TestQuirkK2ClientHeadersStayHere(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	hostile := []proxytest.Option{
		proxytest.Header("Authorization", "Bearer of-the-client"), proxytest.Header("Cookie", "client=1"), proxytest.Header("Proxy-Authorization", "Basic client"),
		proxytest.Header("X-Forwarded-For", "192.0.2.7"), proxytest.Header("X-Forwarded-Host", "client.example"), proxytest.Header("X-Registry-Auth", "client"),
		proxytest.Header("Connection", "Accept, Upgrade"), proxytest.Header("Upgrade", "h2c"), proxytest.Header("Te", "trailers"), proxytest.Header("Forwarded", "for=client"),
		proxytest.Header("User-Agent", "client/1"), proxytest.Header("Referer", "https://client.example"), proxytest.Header("Accept-Encoding", "gzip"),
		func(r *http.Request) {
			r.Host = "client.example"
			r.Trailer = http.Header{"Authorization": {"Bearer client-trailer"}}
		},
	}
	p.Do("HEAD", manifests+"v1", hostile...).Is(404)
	p.Do("PATCH", p.Start(), append(hostile, proxytest.Stream(bytes.NewReader(layer())))...).Is(202)
	p.Do("PUT", manifests+"v1", append(hostile, proxytest.Stream(strings.NewReader("{}")), proxytest.Header("Content-Type", "application/json"))...).Is(201)
	p.Network.None(registrytest.Mentions("client"))
	for _, header := range []string{"Authorization", "Trailer", "Upgrade", "Te", "X-Forwarded-For", "Cookie"} {
		p.Network.None(registrytest.With(header))
	}
	p.Network.None(func(r registrytest.Request) bool { return len(r.Trailer) > 0 })
	p.Network.None(func(r registrytest.Request) bool {
		return r.Host != proxytest.Host || r.Header.Get("User-Agent") != "local-source-proxy/test"
	})
}

// TestUpstreamHeadersStayHere: nothing of the upstream's comes back but what the distribution API has.
func TestUpstreamHeadersStayHere(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	digest := registry.PutBlob(proxytest.Repository, layer())
	registry.When("", "/team/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Link", "<https://registry.example.com/style.css>; rel=preload")
		w.Header().Set("Set-Cookie", "early=1")
		w.WriteHeader(http.StatusEarlyHints)
		header := w.Header()
		header.Set("Set-Cookie", "session=upstream")
		header.Set("WWW-Authenticate", `Basic realm="registry.example.com"`)
		header.Set("Server", "registry.example.com")
		header.Set("Via", "1.1 registry.example.com")
		header.Set("X-Internal", "registry.example.com")
		header.Set("Strict-Transport-Security", "max-age=1")
		header.Set("X-Request-Id", "of-the-upstream")
		header.Set("Lsp-Registry-Path", "evil.example.net/x")
		header.Set("Trailer", "Set-Cookie")
		next.ServeHTTP(w, r)
		header.Set("Set-Cookie", "trailer=1")
		header.Set(http.TrailerPrefix+"X-Late", "registry.example.com")
	})
	leaks := func(answer *proxytest.Answer) *proxytest.Answer {
		t.Helper()
		return answer.Hides(proxytest.Host, "team/code", "upstream").Has("Lsp-Registry-Path", "registry.example.com/team/code").
			Lacks("Set-Cookie", "WWW-Authenticate", "Server", "Via", "X-Internal", "Link", "Docker-Upload-Uuid", "Strict-Transport-Security", "X-Late", "Trailer")
	}
	location := leaks(p.Do("POST", uploads)).Is(202).Location()
	next := leaks(p.Do("PATCH", location, proxytest.Body(layer()))).Is(202).Location()
	leaks(p.Do("GET", next)).Is(204)
	leaks(p.Finish(next, layer())).Is(201)
	leaks(p.Do("GET", "/v2/source/blobs/"+digest)).Is(200)
	leaks(p.Do("PUT", manifests+"v1", proxytest.Body([]byte("{}")))).Is(201)
	leaks(p.Do("GET", "/v2/source/tags/list")).Is(200)
	leaks(p.Do("HEAD", manifests+"none")).Is(404)
	leaks(p.Do("DELETE", p.Start())).Is(204)
	resp, err := p.Client.Get(p.URL + "/v2/source/tags/list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || len(resp.Trailer) > 0 {
		t.Errorf("trailers %q came back, %v", resp.Trailer, err)
	}
}

// TestUpstreamErrorsNameNothing: an error names neither the registry nor an address that it mentions.
func TestUpstreamErrorsNameNothing(t *testing.T) {
	for name, body := range map[string]string{
		"host":       `{"errors":[{"code":"UNKNOWN","message":"registry.example.com/team/code is unwell at https://registry.example.com:443/v2/?token=secret-in-query","detail":{"host":"registry.example.com"}}]}`,
		"upper case": `{"errors":[{"code":"UNKNOWN","message":"Registry.Example.COM is unwell"}]}`,
		"repository": `{"errors":[{"code":"UNKNOWN","message":"repository team/code: no space"}]}`,
		"other URL":  `{"errors":[{"code":"UNKNOWN","message":"Get \"http://minio.internal:9000/b?X-Amz-Signature=secret-in-query\": EOF, see s3://bucket/secret-in-query"}]}`,
		"page":       `<html><a href="https://registry.example.com">https://registry.example.com/?secret-in-query</a></html>`,
	} {
		t.Run(name, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			for _, status := range []int{400, 403, 404, 500} {
				registry.When("", "/team/code/").Answer(status, body)
				for _, request := range [][2]string{{"POST", uploads}, {"GET", manifests + "v1"}, {"GET", "/v2/source/tags/list"}} {
					answer := p.Do(request[0], request[1])
					answer.Hides("registry.example.com", "Registry.Example", "team/code", "minio", "secret-in-query", "bucket")
				}
			}
			if strings.Contains(p.Log.String(), "secret-in-query") {
				t.Errorf("the log has a query string: %s", p.Log)
			}
		})
	}
}

// TestNetworkErrorsStayInTheLog: what the network says about the registry is for the operator.
func TestNetworkErrorsStayInTheLog(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	_ = closed.Close()
	network := registrytest.NewNetwork(t)
	network.Serve("broken.example.com", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	network.ServePlain("plain.example.com:443", registrytest.NewRegistry(t))
	for host, logged := range map[string]string{
		"nowhere.example.com": "no such host", "broken.example.com": "EOF", "plain.example.com": "first record does not look like", address: "no such host",
	} {
		p := proxytest.New(t, network, proxytest.Config{Host: host})
		p.Do("POST", uploads).Fails(502, oci.Unavailable).Hides(host, "dial", "192.0.2.53", "EOF", "lookup", "tls", "x509")
		if log := p.Log.String(); !strings.Contains(log, logged) {
			t.Errorf("%s: the log does not say %q: %s", host, logged, log)
		}
	}
}

// TestNothingSecretIsLogged goes through pushes that succeed and that fail.
func TestNothingSecretIsLogged(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	realm := &registrytest.Realm{URL: "https://auth.example.com/token?x=realm-query", User: proxytest.User, Password: proxytest.Password}
	p.Network.Serve("auth.example.com", realm)
	registry.GuardBy(realm.Guard)
	p.PushBlob(layer())
	location := p.Start()
	p.Do("GET", location+"?secret=in-the-query", proxytest.Header("Authorization", "Bearer client-secret"), proxytest.Header("Cookie", "client-secret")).Is(204)
	p.Do("PUT", location+"?digest=in-the-query").Fails(400, oci.DigestInvalid)
	p.Do("GET", "/v2/source/tags/list?last=in-the-query").Is(200)
	p.Do("GET", "/nowhere/in-the-path?in-the-query").Is(404)
	p.Do("GET", location+"tampered").Is(404)
	registry.When("", "/uploads/").BreakOff()
	p.Do("GET", location).Is(502)
	p.Do("PATCH", location, proxytest.Body(layer())).Is(502)
	realm.Password = "changed"
	realm.Revoke()
	p.Do("POST", uploads)
	log := p.Log.String()
	token := location[strings.LastIndex(location, "/")+1:]
	for _, secret := range []string{proxytest.Password, "token-", "in-the-query", "in-the-path", "client-secret", token, token[:24], "_state", "realm-query", "upload-1"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log mentions %q:\n%s", secret, log)
		}
	}
	lines, decisions := strings.Count(log, `"msg":"request"`), strings.Count(log, `"msg":"admitted"`)+strings.Count(log, `"msg":"refused"`)
	if lines+decisions != strings.Count(log, "\n") || lines < 10 {
		t.Errorf("%d lines for requests and %d for decisions, of %d", lines, decisions, strings.Count(log, "\n"))
	}
}

// quirk U9: any replica with the key continues an upload, and forgets nothing, because it remembers nothing.
func TestQuirkU9AnyReplicaContinues(t *testing.T) {
	key := keyfile.Generate()
	first, registry := proxytest.Simple(t, proxytest.Config{Key: key})
	second := proxytest.New(t, first.Network, proxytest.Config{Key: key})
	next := second.Do("PATCH", first.Start(), proxytest.Body(layer()[:6000])).Is(202).Location()
	next = first.Do("PATCH", next, proxytest.Body(layer()[6000:])).Is(202).Has("Range", "0-11999").Location()
	second.Finish(next, layer()).Is(201)
	registry.Holds(proxytest.Repository, layer())
}

// TestSessionsThatDoNotOpen: BLOB_UPLOAD_UNKNOWN, and the registry is asked nothing.
func TestSessionsThatDoNotOpen(t *testing.T) {
	now := time.Now()
	key := keyfile.Generate()
	p, _ := proxytest.Simple(t, proxytest.Config{AllowSubRepositories: true, Key: key, Now: func() time.Time { return now }})
	location := p.Start()
	token := strings.TrimPrefix(location, uploads)
	flipped := []byte(token)
	if middle := &flipped[len(flipped)/2]; *middle == 'A' { // another letter of base64url, or it would be no path at all
		*middle = 'B'
	} else {
		*middle = 'A'
	}
	other := proxytest.New(t, p.Network, proxytest.Config{})
	keys, err := session.ParseKeys("key", key)
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(owner session.Owner, record session.Record) string {
		token, err := session.NewSealer(keys, func() time.Time { return now }).Seal(owner, record)
		if err != nil {
			t.Fatal(err)
		}
		return uploads + token
	}
	record := session.Record{Registry: proxytest.Host, Repository: proxytest.Repository, Location: "/v2/team/code/blobs/uploads/upload-1"}
	for name, target := range map[string]string{
		"tampered with":      uploads + string(flipped),
		"truncated":          location[:len(location)-4],
		"lengthened":         location + "AAAA",
		"of another key":     other.Start(),
		"of another name":    "/v2/source/sub/blobs/uploads/" + token,
		"of another side":    sealed(session.Owner{Side: "images", Name: "source"}, record),
		"of another place":   sealed(session.Owner{Side: "source", Name: "source"}, session.Record{Registry: "evil.example.net", Repository: proxytest.Repository, Location: "/"}),
		"of another target":  sealed(session.Owner{Side: "source", Name: "source"}, session.Record{Registry: proxytest.Host, Repository: "team/secret", Location: "/"}),
		"the upstream's own": uploads + "upload-1",
		"a URL":              uploads + "aHR0cHM6Ly9ldmlsLmV4YW1wbGUubmV0Lw",
	} {
		refuses(t, p, name, target)
	}
	now = now.Add(session.Lifetime + time.Second)
	refuses(t, p, "expired", location)
}

func refuses(t *testing.T, p *proxytest.Proxy, name, target string) {
	t.Run(name, func(t *testing.T) {
		p.Network.Forget()
		p.Do("PATCH", target, proxytest.Body(layer())).Fails(404, oci.BlobUploadUnknown)
		p.Do("PUT", target+"?digest="+registrytest.Digest(layer())).Fails(404, oci.BlobUploadUnknown)
		p.Do("GET", target).Fails(404, oci.BlobUploadUnknown)
		p.Do("DELETE", target).Fails(404, oci.BlobUploadUnknown)
		p.Network.None()
	})
}

// TestARefusalOfOurCredentialIsNotTheClients: DENIED, which says who has to act, and names no host but the
// client's own path.
func TestARefusalOfOurCredentialIsNotTheClients(t *testing.T) {
	for name, guard := range map[string]func(p *proxytest.Proxy, registry *registrytest.Registry){
		"basic": func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.GuardBy(registrytest.Basic("somebody", "else"))
		},
		"token server": func(p *proxytest.Proxy, registry *registrytest.Registry) {
			realm := &registrytest.Realm{URL: "https://auth.example.com/token", User: "somebody", Password: "else"}
			p.Network.Serve("auth.example.com", realm)
			registry.GuardBy(realm.Guard)
		},
		"forbidden": func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.When("", "/team/").Answer(403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`)
		},
		"foreign realm": func(_ *proxytest.Proxy, registry *registrytest.Registry) {
			registry.GuardBy((&registrytest.Realm{URL: "https://auth.example.net/token"}).Guard)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			guard(p, registry)
			p.Do("POST", uploads).Fails(403, oci.Denied).Says("operator").Hides("auth.example", proxytest.Password, proxytest.User, "repository:").Lacks("WWW-Authenticate", "Retry-After")
		})
	}
	p, _ := proxytest.Simple(t, proxytest.Config{Keychain: keychain.Func(failing)})
	p.Do("POST", uploads).Fails(403, oci.Denied).Says("operator").Hides("/etc/secret")
	p.Network.None(registrytest.Sent("POST", ""))
}
