// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

const (
	discovery = "/apis/localsource.apps.tanzu.vmware.com/v1alpha1"
	ofDev     = discovery + "/namespaces/dev/sources/source/proxy"
	resources = `{"kind":"APIResourceList","groupVersion":"localsource.apps.tanzu.vmware.com/v1alpha1",` +
		`"resources":[{"name":"sources"},{"name":"sources/proxy"}]}`
)

// reply is an answer of the double.
type reply struct {
	status int
	body   string
	header string // a Location, where it is set
}

func kubernetes(status int, reason, message string) reply {
	return reply{status: status, body: `{"kind":"Status","reason":"` + reason + `","message":"` + message + `"}`}
}

// fake is an API server that answers by path, and everything else 200 as the proxy does.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	replies map[string]reply
	asked   []string
	notices []string
}

func newFake(t *testing.T, replies map[string]reply) *fake {
	t.Helper()
	f := &fake{replies: replies}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+strings.TrimPrefix(r.URL.Path, lsptest.Prefix))
		answer, known := f.replies[r.URL.Path]
		f.mu.Unlock()
		switch {
		case !known:
			w.Header().Set(apiserver.RegistryPathHeader, lsptest.RegistryPath)
		case answer.status == 0:
			panic(http.ErrAbortHandler)
		case answer.header != "":
			w.Header().Set("Location", answer.header)
			w.WriteHeader(answer.status)
		default:
			w.Header().Set("Content-Type", "application/json")
			if !strings.HasPrefix(answer.body, "{") {
				w.Header().Set("Content-Type", "text/plain")
			}
			w.WriteHeader(answer.status)
			_, _ = io.WriteString(w, answer.body)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) set(path string, answer reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replies[path] = answer
}

func (f *fake) client(t *testing.T, via apiserver.Via) *apiserver.Client {
	t.Helper()
	client, err := apiserver.New(&rest.Config{Host: f.URL}, apiserver.Options{Via: via, Namespace: "dev", Notify: func(line string) {
		f.notices = append(f.notices, line)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	return client
}

// ask makes a request whose answer has nothing more to say.
func ask(t *testing.T, client *apiserver.Client, method, target string) error {
	t.Helper()
	resp, err := client.Do(t.Context(), apiserver.Request{Method: method, Target: target})
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}

// TestFindsTheWayIn: one request tells, and what is known afterwards is not asked again.
func TestFindsTheWayIn(t *testing.T) {
	tests := []struct {
		name      string
		discovery reply
		service   *reply // in place of an answer of the proxy
		via       apiserver.Via
		notice    string
		err       string
	}{
		{name: "served", discovery: reply{status: 200, body: resources}, via: apiserver.ViaAPI},
		{name: "not there", discovery: kubernetes(404, "NotFound", "the server could not find the requested resource"), via: apiserver.ViaService},
		{name: "not there, in plain text", discovery: reply{status: 404, body: "404 page not found"}, via: apiserver.ViaService},
		{name: "a page for everything", discovery: reply{status: 200, body: "<html>welcome</html>"}, via: apiserver.ViaService},
		{name: "another group", discovery: reply{status: 200, body: strings.Replace(resources, "/v1alpha1", "/v2", 1)}, via: apiserver.ViaService},
		{name: "without the resource", discovery: reply{status: 200, body: strings.Replace(resources, "sources/proxy", "sources/x", 1)}, via: apiserver.ViaService},
		{
			name: "no pod", discovery: reply{status: 503, body: "service unavailable\n"}, via: apiserver.ViaService,
			notice: "the namespaced API does not work: 503: service unavailable; the operator can look at the APIService v1alpha1.localsource.apps.tanzu.vmware.com; going through the Service instead",
		},
		{name: "breaks", discovery: reply{status: 502}, via: apiserver.ViaService, notice: "the namespaced API does not work: 502: Bad Gateway; "},
		{
			name: "the API does not know the API server", via: apiserver.ViaService,
			discovery: reply{status: 401, body: `{"errors":[{"code":"UNAUTHORIZED","message":"this port is for the API server alone"}]}`},
			notice:    "the namespaced API does not work: 401: this port is for the API server alone; ",
		},
		{
			name: "hidden", discovery: kubernetes(403, "Forbidden", "you cannot get path"), via: apiserver.ViaService,
			notice: "you may not see whether there is a namespaced API (--via api takes it unseen): you cannot get path; going through the Service instead",
		},
		{name: "not logged in", discovery: kubernetes(401, "Unauthorized", "Unauthorized"), err: "the API server does not accept your credential: Unauthorized; log in again"},
		{name: "redirect", discovery: reply{status: 307, header: "https://elsewhere.example.com"}, err: "would get your credential and is not followed"},
		{name: "broken off", discovery: reply{}, err: "reach the API server 127.0.0.1"},
		{
			name: "no pod, no Service", discovery: reply{status: 503, body: "service unavailable"}, service: &reply{status: 404, body: kubernetes(404, "NotFound", "no such service").body},
			err: "the namespaced API does not work: 503: service unavailable; the operator can look at the APIService v1alpha1.localsource.apps.tanzu.vmware.com; " +
				"without it, the local source proxy is not installed in this cluster: no such service; check --context, or ask the cluster's operator",
		},
		{
			name: "no pod at all", discovery: reply{status: 503, body: "service unavailable"}, service: &reply{status: 503, body: kubernetes(503, "ServiceUnavailable", "no endpoints").body},
			via: apiserver.ViaService, err: "; without it, no pod of the local source proxy is ready: no endpoints; ",
		},
		{
			name: "the Service's own refusal", discovery: reply{status: 404}, service: &reply{status: 403, body: kubernetes(403, "Forbidden", "no").body},
			via: apiserver.ViaService, err: "you may not use the local source proxy: no; ask the cluster's operator to list you or a group of yours in rbac_subjects_for_proxy_access",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, map[string]reply{discovery: tt.discovery})
			if tt.service != nil {
				f.set(lsptest.Prefix+"/v2/", *tt.service)
			}
			client := f.client(t, apiserver.ViaAuto)
			err := ask(t, client, "GET", "/v2/")
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error %v, want one line with %q", err, tt.err)
			}
			if client.Via() != tt.via {
				t.Errorf("via %q, want %q", client.Via(), tt.via)
			}
			if tt.err != "" {
				if len(f.notices) > 0 {
					t.Errorf("notices %q beside an error", f.notices)
				}
				return
			}
			if err := ask(t, client, "HEAD", "/v2/source/manifests/x"); err != nil {
				t.Error(err)
			}
			prefix := ""
			if tt.via == apiserver.ViaAPI {
				prefix = ofDev
			}
			want := []string{"GET " + discovery, "GET " + prefix + "/v2/", "HEAD " + prefix + "/v2/source/manifests/x"}
			if diff := cmp.Diff(want, f.asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if got := strings.Join(f.notices, "\n"); !strings.HasPrefix(got, tt.notice) || (tt.notice == "") != (got == "") || len(f.notices) > 1 {
				t.Errorf("notices %q, want %q", f.notices, tt.notice)
			}
		})
	}
}

// TestAskedForAWay: nobody is asked which one there is.
func TestAskedForAWay(t *testing.T) {
	for via, prefix := range map[apiserver.Via]string{apiserver.ViaAPI: ofDev, apiserver.ViaService: ""} {
		f := newFake(t, map[string]reply{})
		client := f.client(t, via)
		if err := ask(t, client, "GET", "/v2/"); err != nil || client.Via() != via {
			t.Errorf("via %q, %v", client.Via(), err)
		}
		if diff := cmp.Diff([]string{"GET " + prefix + "/v2/"}, f.asked); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	}
}

// TestTheAPIIsBack: where there is no Service, what failed may be tried again, and finds the API that is back.
func TestTheAPIIsBack(t *testing.T) {
	f := newFake(t, map[string]reply{
		discovery: {status: 503, body: "service unavailable"}, lsptest.Prefix + "/v2/": kubernetes(404, "NotFound", "no such service"),
	})
	client := f.client(t, apiserver.ViaAuto)
	answer, ok := errors.AsType[*apiserver.Error](ask(t, client, "GET", "/v2/"))
	if !ok || !answer.Temporary() {
		t.Fatalf("%v is no answer that may pass", answer)
	}
	f.set(discovery, reply{status: 200, body: resources})
	if err := ask(t, client, "GET", "/v2/"); err != nil || client.Via() != apiserver.ViaAPI || len(f.notices) > 0 {
		t.Errorf("via %q, %v, notices %q", client.Via(), err, f.notices)
	}
}

// TestTheAPIDoesNotAnswer: a pod that accepts and says nothing keeps nobody from the Service.
func TestTheAPIDoesNotAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == discovery {
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
		}
		w.Header().Set(apiserver.RegistryPathHeader, lsptest.RegistryPath)
	}))
	defer server.Close()
	var notices []string
	client, err := apiserver.New(&rest.Config{Host: server.URL, Timeout: 200 * time.Millisecond}, apiserver.Options{
		Namespace: "dev", Notify: func(line string) { notices = append(notices, line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	if err := ask(t, client, "GET", "/v2/"); err != nil || client.Via() != apiserver.ViaService || len(notices) != 1 {
		t.Errorf("via %q, %v, notices %q", client.Via(), err, notices)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	other, err := apiserver.New(&rest.Config{Host: server.URL}, apiserver.Options{Namespace: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Find(gone); !errors.Is(err, context.Canceled) || other.Via() != "" {
		t.Errorf("error %v, via %q, after an interruption", err, other.Via())
	}
}

// TestMissingRight: the verb is the one that the API server has looked for, and the command shows that right.
func TestMissingRight(t *testing.T) {
	for method, verb := range map[string]string{"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"} {
		f := newFake(t, map[string]reply{discovery: {status: 200, body: resources}, ofDev + "/v2/x": kubernetes(403, "Forbidden", "says RBAC")})
		err := ask(t, f.client(t, apiserver.ViaAuto), method, "/v2/x")
		said := "says RBAC"
		if method == "HEAD" {
			said = "Forbidden"
		}
		want := "you may not " + verb + " sources/proxy in namespace dev: " + said + "; `kubectl auth can-i " + verb +
			" sources.localsource.apps.tanzu.vmware.com/source --subresource=proxy -n dev` shows it; " +
			"whoever administers the namespace can bind the ClusterRole local-source-proxy-push, which edit and admin contain"
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n%v\nwant\n%s", method, err, want)
		}
	}
}

// TestErrorsOfTheAPI have other remedies than those of the Service.
func TestErrorsOfTheAPI(t *testing.T) {
	for want, answer := range map[string]reply{
		"this cluster has no namespaced push API: 404 page not found; leave --via out":                                                                                     {status: 404, body: "404 page not found"},
		"the API server does not reach the namespaced API: service unavailable; try again in a minute, then ask the cluster's operator to look at the APIService v1alpha1": {status: 503, body: "service unavailable"},
		"the API server answered 502 for the namespaced API: Bad Gateway":                                                                                                  {status: 502},
		"the API server does not accept your credential: Unauthorized; log in again":                                                                                       kubernetes(401, "Unauthorized", "Unauthorized"),
		"the local source proxy answered 403 DENIED: namespace dev has no right to latest":                                                                                 {status: 403, body: `{"errors":[{"code":"DENIED","message":"namespace dev has no right to latest"}]}`},
	} {
		f := newFake(t, map[string]reply{ofDev + "/v2/": answer})
		if err := ask(t, f.client(t, apiserver.ViaAPI), "GET", "/v2/"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
