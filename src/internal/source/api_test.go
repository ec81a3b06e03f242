// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// below is where the source proxy of a namespace is.
func below(namespace string) string {
	return "/apis/localsource.apps.tanzu.vmware.com/v1alpha1/namespaces/" + namespace + "/sources/source/proxy"
}

// byJane is what the API server adds for a user.
func byJane(r *http.Request) {
	r.Header["X-Remote-User"], r.Header["X-Remote-Group"] = []string{"jane"}, []string{"devs", "system:authenticated"}
}

// namespaced starts the namespaced API, and returns the API server's caller.
func namespaced(t *testing.T, cfg proxytest.Config) (*proxytest.Proxy, *registrytest.Registry, *proxytest.Caller) {
	t.Helper()
	p, registry := proxytest.Simple(t, cfg)
	authority := proxytest.NewAuthority(t)
	front := authority.FrontProxy()
	return p, registry, p.API(authority)(&front)
}

// pushed pushes a layer and a manifest that has it, as clients do, and returns the manifest's digest.
func pushed(t *testing.T, api *proxytest.Caller, prefix, tag string) string {
	t.Helper()
	next := api.Do("POST", prefix+"/v2/source/blobs/uploads/", byJane).Is(202).Header.Get("Location")
	next = api.Do("PATCH", next, byJane, proxytest.Body(layer())).Is(202).Header.Get("Location")
	api.Do("PUT", next+"?digest="+registrytest.Digest(layer()), byJane).Is(201).Has("Location", prefix+"/v2/source/blobs/"+registrytest.Digest(layer()))
	manifest := []byte(`{"schemaVersion":2,"tag":"` + tag + `"}`)
	answer := api.Do("PUT", prefix+"/v2/source/manifests/"+tag, byJane, proxytest.Body(manifest)).Is(201)
	if location := answer.Header.Get("Location"); !strings.HasPrefix(location, prefix+"/v2/source/manifests/") {
		t.Errorf("the manifest's Location is %s", location)
	}
	return answer.Header.Get("Docker-Content-Digest")
}

// TestNamespacesHaveRepositories: each pushes to its own, its sessions and mounts are its own, and the log says
// who pushed what.
func TestNamespacesHaveRepositories(t *testing.T) {
	p, registry, api := namespaced(t, proxytest.Config{AllowSubRepositories: true})
	digest := pushed(t, api, below("team-a"), "v1")
	registry.Holds("team/code/team-a", layer())
	api.Do("HEAD", below("team-a")+"/v2/source/manifests/v1", byJane).Is(200).Has(source.PathHeader, "registry.example.com/team/code/team-a")
	api.Do("HEAD", below("team-b")+"/v2/source/manifests/v1", byJane).Is(404).Has(source.PathHeader, "registry.example.com/team/code/team-b")

	t.Run("a session of another namespace", func(t *testing.T) {
		location := api.Do("POST", below("team-a")+"/v2/source/blobs/uploads/", byJane).Is(202).Header.Get("Location")
		stolen := strings.Replace(location, "/team-a/", "/team-b/", 1)
		api.Do("PATCH", stolen, byJane, proxytest.Body(layer())).Fails(404, oci.BlobUploadUnknown)
		behind := strings.TrimPrefix(location, below("team-a"))
		p.Do("PATCH", behind, proxytest.Body(layer())).Fails(404, oci.BlobUploadUnknown)
	})
	t.Run("a mount from another namespace", func(t *testing.T) {
		for _, from := range []string{"source", "source/../team-a", "team/code/team-a", "code/team-a", "source/team-a", "../team-a/source"} {
			answer := api.Do("POST", below("team-b")+"/v2/source/blobs/uploads/?mount="+registrytest.Digest(layer())+"&from="+from, byJane)
			if answer.Status != 202 {
				t.Errorf("from %s: %d %s", from, answer.Status, answer.Body)
			}
		}
		p.Network.None(registrytest.Sent("POST", "/v2/team/code/team-b/blobs/uploads/?from=team%2Fcode%2Fteam-a"))
	})
	t.Run("below a namespace", func(t *testing.T) {
		api.Do("GET", below("team-a")+"/v2/source/web/tags/list", byJane).Is(200).Says(`"name":"source/web"`)
		api.Do("GET", below("team-a")+"/v2/source/team-b/tags/list", byJane).Is(200) // <repository>/team-a/team-b
	})
	t.Run("the log", func(t *testing.T) {
		var line map[string]any
		for _, each := range strings.Split(p.Log.String(), "\n") {
			if strings.Contains(each, `"operation":"manifest-put"`) {
				if err := json.Unmarshal([]byte(each), &line); err != nil {
					t.Fatal(err)
				}
			}
		}
		for key, want := range map[string]any{
			"door": "api", "namespace": "team-a", "user": "jane", "groups": 2.0, "reference": "v1", "digest": digest, "status": 201.0,
		} {
			if line[key] != want {
				t.Errorf("%s is %v, want %v", key, line[key], want)
			}
		}
		if !strings.Contains(p.Log.String(), `"msg":"admitted","door":"api"`) {
			t.Error("decisions are of another door")
		}
		if strings.Contains(p.Log.String(), "devs") {
			t.Error("the log names a group")
		}
	})
}

// TestNobodyButTheAPIServer gets anything but 401, whatever the path and the headers.
func TestNobodyButTheAPIServer(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	authority, stranger := proxytest.NewAuthority(t), proxytest.NewAuthority(t)
	callers := p.API(authority)
	kubelet := authority.Issue("system:node:a", x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour))
	forged := stranger.FrontProxy()
	for name, shown := range map[string]*tls.Certificate{"none": nil, "another name": &kubelet, "another authority": &forged} {
		caller := callers(shown)
		for _, path := range []string{"/apis", "/healthz", "/", "/v2/", below("team-a") + "/v2/", below("team-a") + "/health", "/openapi/v2", "/v2/source/tags/list"} {
			answer := caller.Do("GET", path, byJane).Fails(401, oci.Unauthorized).Lacks("WWW-Authenticate", source.PathHeader)
			if strings.Contains(string(answer.Body), "team") {
				t.Errorf("%s: %s", name, answer.Body)
			}
		}
	}
	p.Network.None()
	front := authority.FrontProxy()
	callers(&front).Do("GET", below("team-a")+"/v2/").Fails(401, oci.Unauthorized) // no user
}

// TestPathsThatAreNotOfANamespace: the API server authorizes by the path's left end, so nothing there may be
// read in two ways.
func TestPathsThatAreNotOfANamespace(t *testing.T) {
	p, _, api := namespaced(t, proxytest.Config{AllowPull: true, AllowSubRepositories: true})
	long := strings.Repeat("a", 63)
	api.Do("GET", below(long)+"/v2/", byJane).Is(200)
	for _, path := range []string{
		below(long+"a") + "/v2/", below("Team") + "/v2/", below("") + "/v2/", below("team%2Da") + "/v2/", below("team-a%2F..%2Fteam-b") + "/v2/",
		below("..") + "/v2/", below("-a") + "/v2/", below("a.b") + "/v2/", below("team-a") + "x/v2/",
		strings.Replace(below("team-a"), "/source/", "/other/", 1) + "/v2/", strings.Replace(below("team-a"), "v1alpha1", "v1", 1) + "/v2/",
		"/apis/localsource.apps.tanzu.vmware.com/v1alpha1/sources/source/proxy/v2/", "/v2/", "/health", "/apis/localsource.apps.tanzu.vmware.com/v1alpha1//namespaces/a/sources/source/proxy/v2/",
		below("team-a") + "/../../../../team-b/sources/source/proxy/v2/", below("team-a") + "/v2/source/../../../x", below("team-a"), below("team-a") + "//v2/",
		below("team-a") + "/v2/source%2F..%2Fteam-b/tags/list", below("team-a") + "/v2/source/%2e%2e/team-b/tags/list", below("team-a") + "/v2/team-b/tags/list",
	} {
		if answer := api.Do("GET", path, byJane); answer.Status != 404 {
			t.Errorf("%s: answered %d %s", path, answer.Status, answer.Body)
		}
	}
	p.Network.None()
}

// FuzzNamespacePath: whatever the path, the registry is asked for the namespace alone that the API server reads
// out of it.
func FuzzNamespacePath(f *testing.F) {
	for _, seed := range []string{"/v2/source/tags/list", "/../../b/sources/source/proxy/v2/source/tags/list", "/v2/source/..%2f..%2fteam-b/tags/list", "/v2/source/sub/tags/list"} {
		f.Add("team-a", seed)
	}
	f.Add("team-a/sources/source/proxy/v2/x/../../../../../team-b", "/v2/source/tags/list")
	f.Fuzz(func(t *testing.T, namespace, rest string) {
		p, _, api := namespaced(t, proxytest.Config{AllowSubRepositories: true})
		request, err := http.NewRequest("GET", api.URL+below(namespace)+rest, nil)
		if err != nil {
			return
		}
		// As the API server reads it: k8s.io/apiserver, RequestInfoFactory.
		parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
		byJane(request)
		answer, err := api.Client.Do(request)
		if err != nil {
			return
		}
		_ = answer.Body.Close()
		for _, sent := range p.Network.Requests() {
			if sent.Path != "/v2/" && (len(parts) < 5 || !strings.HasPrefix(sent.Path, "/v2/team/code/"+parts[4]+"/") || strings.Contains(sent.Path, "..")) {
				t.Fatalf("for %s the registry was asked %s", request.URL, sent.Path)
			}
		}
	})
}

// TestDiscovery: client-go reads the documents, and finds the resource.
func TestDiscovery(t *testing.T) {
	p, _, api := namespaced(t, proxytest.Config{})
	read := func(path string, into any) {
		t.Helper()
		decoder := json.NewDecoder(bytes.NewReader(api.Do("GET", path, byJane).Is(200).Has("Content-Type", "application/json").Body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var groups metav1.APIGroupList
	var group metav1.APIGroup
	var resources metav1.APIResourceList
	read("/apis", &groups)
	read("/apis/localsource.apps.tanzu.vmware.com", &group)
	read("/apis/localsource.apps.tanzu.vmware.com/v1alpha1", &resources)
	if len(groups.Groups) != 1 || groups.Groups[0].Name != group.Name || group.Versions[0].GroupVersion != resources.GroupVersion {
		t.Errorf("the documents contradict each other: %v, %v, %v", groups, group, resources)
	}
	for _, each := range resources.APIResources {
		if !each.Namespaced || each.Name != "sources" && each.Name != "sources/proxy" {
			t.Errorf("resource %+v", each)
		}
	}
	var ignored map[string]any
	for _, path := range []string{"/openapi/v2", "/openapi/v3", "/openapi/v3/apis/localsource.apps.tanzu.vmware.com/v1alpha1"} {
		read(path, &ignored)
	}
	api.Do("POST", "/apis", byJane).Fails(405, oci.Unsupported)
	p.Network.None()
}

// TestHealthOfANamespace is about its own repository.
func TestHealthOfANamespace(t *testing.T) {
	p, registry, api := namespaced(t, proxytest.Config{})
	registry.When("POST", "/team/code/team-b/").Answer(403, `{"errors":[{"code":"DENIED","message":"no"}]}`)
	api.Do("GET", below("team-a")+"/health", byJane).Is(200).Says(`"statuscode":"200"`).Has(source.PathHeader, "registry.example.com/team/code/team-a")
	api.Do("GET", below("team-b")+"/health", byJane).Is(200).Says(`"statuscode":"403"`)
	api.Do("GET", below("team-b")+"/health", byJane).Is(200).Says(`"namespace":"team-b","user":"jane","groups":2,"tenancy":"repositories"`)
	api.Do("GET", below("team-a")+"/health", byJane).Is(200).Says(`"statuscode":"200"`)
	p.Do("GET", "/health").Is(200).Says(`"statuscode":"200"`)
}
