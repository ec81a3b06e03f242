// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// TestRemediesCanBeTyped: each command of a remedy is one that exists, with the names that the package has.
func TestRemediesCanBeTyped(t *testing.T) {
	names, err := os.ReadFile("../../../../config/names.star")
	if err != nil {
		t.Fatal(err)
	}
	name := func(key string) string {
		found := regexp.MustCompile(`(?m)^` + key + ` = "(.*)"$`).FindSubmatch(names)
		if found == nil {
			t.Fatalf("no %s in config/names.star", key)
		}
		return string(found[1])
	}
	reference, err := os.ReadFile("../../../cmd/" + name("SOURCE") + "/commands.md")
	if err != nil || !strings.Contains(string(reference), "## "+name("SOURCE")+" check\n") {
		t.Fatalf("the server has no command check: %v", err)
	}
	commands := []string{
		"kubectl config get-contexts", "kubectl version", "kubectl auth whoami",
		// ko puts the program there, and the image has no shell and no PATH.
		"kubectl exec -n " + name("NAMESPACE") + " deploy/" + name("SOURCE") + " -- /ko-app/" + name("SOURCE") + " check",
		name("SOURCE") + " check",
	}
	used := map[string]bool{}
	see := func(remedy string) {
		for _, command := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(remedy, -1) {
			if used[command[1]] = true; !slices.Contains(commands, command[1]) {
				t.Errorf("%q is no command that is known to exist", command[1])
			}
		}
		if strings.Count(remedy, "`")%2 != 0 {
			t.Errorf("a command does not end: %s", remedy)
		}
	}
	for _, token := range []string{lsptest.Developer, lsptest.Stranger, "old"} {
		for _, state := range []lsptest.State{lsptest.Installed, lsptest.Absent, lsptest.NotReady} {
			for _, status := range []string{"200", "401", "403", "404", "429", "500", "502"} {
				cluster := lsptest.NewCluster(t, withHealth(200, `{"statuscode":"`+status+`","message":"m"}`))
				cluster.API = &lsptest.API{}
				cluster.Set(state)
				for _, step := range doctor.Examine(t.Context(), doctor.Options{
					Config: func() (*rest.Config, string, string, error) {
						return cluster.Config(token), "dev", "context test", nil
					},
				}) {
					see(step.Remedy)
				}
			}
		}
	}
	for _, step := range doctor.Examine(t.Context(), doctor.Options{Config: func() (*rest.Config, string, string, error) { return nil, "", "", os.ErrNotExist }}) {
		see(step.Remedy)
	}
	// Without a cluster there is no pod to look into.
	server := httptest.NewServer(withHealth(200, `{"statuscode":"401","message":"m"}`))
	defer server.Close()
	client, err := apiserver.Direct(server.URL, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	for _, step := range doctor.Examine(t.Context(), doctor.Options{Client: client}) {
		if see(step.Remedy); strings.Contains(step.Remedy, "kubectl") {
			t.Errorf("a proxy without a cluster: %s", step.Remedy)
		}
	}
	for _, command := range commands {
		if !used[command] && command != "kubectl auth whoami" {
			t.Errorf("%q was not seen: this test has lost its subject", command)
		}
	}
}
