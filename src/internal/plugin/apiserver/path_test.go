// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// quirk K8: the aggregation layer puts the ClusterIP of the API's Service before a Location without a host. No
// workstation reaches it, and the credential is not for it: the path alone counts.
func TestQuirkK8LocationOfTheAggregationLayer(t *testing.T) {
	for _, namespace := range []string{"dev", "v2", strings.Repeat("a", 63)} {
		prefix := discovery + "/namespaces/" + namespace + "/sources/source/proxy"
		for _, box := range []string{"", "/k8s/clusters/c-1", "/v2/clusters"} {
			client, err := apiserver.New(&rest.Config{Host: "https://api.example.com" + box}, apiserver.Options{Via: apiserver.ViaAPI, Namespace: namespace})
			if err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequest(http.MethodPost, client.Base().String()+"/v2/source/blobs/uploads/", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, location := range []string{
				"https://10.96.87.160:443" + prefix, prefix, box + prefix, "https://api.example.com" + box + prefix, "https://[fd00::1]:443" + prefix,
			} {
				answer := &http.Response{Request: request, Header: http.Header{"Location": {location + "/v2/source/blobs/uploads/t?a=b%2Fc"}}}
				if target, err := client.Locate(answer); err != nil || target != "/v2/source/blobs/uploads/t?a=b%2Fc" {
					t.Errorf("namespace %s behind %q, Location %s: %q, %v", namespace, box, location, target, err)
				}
			}
		}
	}
}

// FuzzNamespace: whatever the namespace, the API server reads the very same out of the path, or there is none.
// It authorizes by what it reads there (k8s.io/apiserver, RequestInfoFactory).
func FuzzNamespace(f *testing.F) {
	for _, seed := range []string{
		"dev", "team-a", "v2", "a", strings.Repeat("a", 63), strings.Repeat("a", 64), "", ".", "..", "Team", "a.b", "-a", "a-", "team_a", "a/b", "a%2Fb",
		"../b", "team-a/sources/source/proxy/v2/x/../../../../../team-b", "a?b", "a#b", "a b", "a\n", "ä", "a;b", "a\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, namespace string) {
		for _, via := range []apiserver.Via{apiserver.ViaAPI, apiserver.ViaAuto} {
			client, err := apiserver.New(&rest.Config{Host: "https://api.example.com"}, apiserver.Options{Via: via, Namespace: namespace})
			if err != nil {
				if !strings.Contains(err.Error(), "no namespace can have this name") {
					t.Errorf("%q: error %v", namespace, err)
				}
				continue
			}
			if via == apiserver.ViaAuto {
				continue // the path is made of the same
			}
			read, err := url.Parse(client.Base().String() + "/v2/source/manifests/x?a=b")
			if err != nil {
				t.Fatalf("%q: %v", namespace, err)
			}
			parts := strings.Split(strings.Trim(read.Path, "/"), "/")
			want := []string{"apis", apiserver.Group, "v1alpha1", "namespaces", namespace, "sources", "source", "proxy", "v2", "source", "manifests", "x"}
			if diff := cmp.Diff(want, parts); diff != "" || read.Host != "api.example.com" || read.Fragment != "" || read.RawQuery != "a=b" {
				t.Errorf("%q: %s (-want +got):\n%s", namespace, read, diff)
			}
			if target, ok := client.Target(read); !ok || target != "/v2/source/manifests/x?a=b" {
				t.Errorf("%q: target %q", namespace, target)
			}
		}
		if _, err := apiserver.New(&rest.Config{Host: "https://api.example.com"}, apiserver.Options{Via: apiserver.ViaService, Namespace: namespace}); err != nil {
			t.Errorf("%q: the Service needs no namespace: %v", namespace, err)
		}
	})
}
