// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// withHealth is a proxy whose /health answers as given.
func withHealth(status int, body string) http.Handler {
	registry := lsptest.NewRegistry()
	registry.Fail = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/health" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
	return registry
}

func TestHealth(t *testing.T) {
	const escaped = "unauthorized%3A+wrong+password%0Asecond+line"
	tests := []struct {
		name    string
		token   string
		state   lsptest.State
		backend http.Handler
		want    doctor.Health
	}{
		{
			"well", lsptest.Developer, lsptest.Installed, withHealth(200, `{"statuscode":"200","message":"ok"}`),
			doctor.Health{Target: lsptest.RegistryPath, UserHasPermission: true, Reachable: true, UpstreamAuthenticated: true, OverallHealth: true, Message: "All health checks passed"},
		},
		{
			"no permission", lsptest.Stranger, lsptest.Installed, nil,
			doctor.Health{Message: "The current user does not have permission to access the local source proxy.\nErrors:\n- services \"http:local-source-proxy:5001\" is forbidden: User \"stranger\" cannot get resource \"services/proxy\" in API group \"\" in the namespace \"tap-local-source-system\"; ask the cluster's operator to list you or a group of yours in rbac_subjects_for_proxy_access, or to install the package if it is not in this cluster"},
		},
		{
			"not logged in", "old", lsptest.Installed, nil,
			doctor.Health{Message: "The current user does not have permission to access the local source proxy.\nErrors:\n- Unauthorized"},
		},
		{
			"not installed", lsptest.Developer, lsptest.Absent, nil,
			doctor.Health{UserHasPermission: true, Message: "Local source proxy is not installed on the cluster.\nErrors:\n- services \"local-source-proxy\" not found"},
		},
		{
			"no ready pod", lsptest.Developer, lsptest.NotReady, nil,
			doctor.Health{UserHasPermission: true, Message: "Local source proxy is not healthy.\nErrors:\n- no endpoints available for service \"http:local-source-proxy:5001\""},
		},
		{
			"not configured", lsptest.Developer, lsptest.Installed, withHealth(500, `{"statuscode":"500","message":"registry+server+configuration+in+the+cluster+is+invalid"}`),
			doctor.Health{UserHasPermission: true, Reachable: true, Message: "Local source proxy is not healthy.\nErrors:\n- registry server configuration in the cluster is invalid"},
		},
		{
			"upstream refuses", lsptest.Developer, lsptest.Installed, withHealth(200, `{"statuscode":"401","message":"`+escaped+`"}`),
			doctor.Health{UserHasPermission: true, Reachable: true, Message: "Local source proxy was unable to authenticate against the target registry.\nErrors:\n- unauthorized: wrong password second line", Target: lsptest.RegistryPath},
		},
		{
			"upstream unreachable", lsptest.Developer, lsptest.Installed, withHealth(200, `{"statuscode":"502","message":"dial+tcp"}`),
			doctor.Health{UserHasPermission: true, Reachable: true, Message: "Local source proxy was unable to authenticate against the target registry.\nErrors:\n- dial tcp", Target: lsptest.RegistryPath},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cluster := lsptest.NewCluster(t, tt.backend)
			cluster.Set(tt.state)
			client, err := apiserver.New(cluster.Config(tt.token), apiserver.Options{Via: apiserver.ViaService})
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdle()
			got, err := doctor.CheckHealth(t.Context(), client)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Via = apiserver.ViaService
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("health (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealthOfSomethingElse(t *testing.T) {
	for _, body := range []string{"<html>", "{}", `{"statuscode":""}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		client, err := apiserver.Direct(server.URL, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := doctor.CheckHealth(t.Context(), client); !errors.Is(err, doctor.ErrNoHealth) {
			t.Errorf("%s: error %v, want %v", body, err, doctor.ErrNoHealth)
		}
		client.CloseIdle()
		server.Close()
	}
}

func statuses(steps []diagnosis.Step) string {
	var s []string
	for _, step := range steps {
		s = append(s, step.Name+"="+string(step.Status))
	}
	return strings.Join(s, " ")
}

func TestExamine(t *testing.T) {
	denied := lsptest.NewRegistry()
	denied.Fail = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			lsptest.OCIError(w, 403, "DENIED", "the registry refuses pushes")
		}
		return r.Method == http.MethodPost
	}
	tests := []struct {
		name    string
		token   string
		state   lsptest.State
		backend http.Handler
		down    bool
		failed  string // name of the failing step
		detail  string
		remedy  string
	}{
		{name: "all well", token: lsptest.Developer, backend: lsptest.NewRegistry()},
		{name: "no API server", token: lsptest.Developer, down: true, failed: "API server", detail: "connection refused", remedy: "check the network"},
		{name: "not logged in", token: "old", failed: "API server", detail: "provide credentials", remedy: "`kubectl version` must work"},
		{name: "no RBAC", token: lsptest.Stranger, failed: "RBAC", detail: "you may not get services/proxy http:local-source-proxy:5001 in namespace tap-local-source-system", remedy: "rbac_subjects_for_proxy_access, or to install the package"},
		{name: "no Service", token: lsptest.Developer, state: lsptest.Absent, failed: "service", detail: "not found", remedy: "install the package"},
		{name: "no pod", token: lsptest.Developer, state: lsptest.NotReady, failed: "pod", detail: "no endpoints available", remedy: "look at the Deployment"},
		{name: "upstream refuses", token: lsptest.Developer, backend: withHealth(200, `{"statuscode":"401","message":"wrong+password"}`), failed: "upstream token", detail: "wrong password", remedy: "check push_secret and repository; `kubectl exec -n tap-local-source-system deploy/local-source-proxy -- "},
		{name: "not configured", token: lsptest.Developer, backend: withHealth(500, `{"statuscode":"500","message":"invalid"}`), failed: "upstream token", detail: "invalid", remedy: "repository above all"},
		{name: "push refused", token: lsptest.Developer, backend: denied, failed: "push scope", detail: "403 DENIED: the registry refuses pushes", remedy: "may push to this repository"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cluster := lsptest.NewCluster(t, tt.backend)
			cluster.API = &lsptest.API{}
			cluster.Set(tt.state)
			if tt.down {
				cluster.Close()
			}
			steps := doctor.Examine(t.Context(), doctor.Options{Config: func() (*rest.Config, string, string, error) {
				return cluster.Config(tt.token), "dev", "context test", nil
			}})
			if tt.failed == "" {
				if want := "kubeconfig=ok API server=ok way in=ok RBAC=ok service=ok pod=ok upstream token=ok push scope=ok"; statuses(steps) != want || !diagnosis.Healthy(steps) {
					t.Errorf("steps %+v", steps)
				}
				return
			}
			if diagnosis.Healthy(steps) {
				t.Fatalf("healthy: %s", statuses(steps))
			}
			passed := true
			for _, s := range steps {
				switch {
				case s.Name == tt.failed:
					passed = false
					if s.Status != diagnosis.Failed || !strings.Contains(s.Detail, tt.detail) || !strings.Contains(s.Remedy, tt.remedy) {
						t.Errorf("step %+v, want failed with %q and remedy %q", s, tt.detail, tt.remedy)
					}
				case passed && s.Status != diagnosis.OK, !passed && s.Status != diagnosis.Skipped:
					t.Errorf("step %+v around the failing one", s)
				}
			}
		})
	}
}

func TestExamineDirect(t *testing.T) {
	server := httptest.NewServer(lsptest.NewRegistry())
	client, err := apiserver.Direct(server.URL, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	if got := statuses(doctor.Examine(t.Context(), doctor.Options{Client: client})); got != "proxy=ok upstream token=ok push scope=ok" {
		t.Errorf("steps %s", got)
	}
	server.Close()
	if got := statuses(doctor.Examine(t.Context(), doctor.Options{Client: client})); got != "proxy=failed upstream token=skipped push scope=skipped" {
		t.Errorf("steps %s", got)
	}
}

func TestExamineWithoutKubeconfig(t *testing.T) {
	steps := doctor.Examine(t.Context(), doctor.Options{Config: func() (*rest.Config, string, string, error) { return nil, "", "", errors.New("no configuration") }})
	if steps[0].Status != diagnosis.Failed || !strings.Contains(steps[0].Remedy, "--context") {
		t.Errorf("step %+v", steps[0])
	}
}
