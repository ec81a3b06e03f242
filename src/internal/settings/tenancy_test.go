// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

func TestTenancy(t *testing.T) {
	long := "r.io/" + strings.Repeat("a", 187) // with a slash and 63 characters, 256
	const shared = "allow_pull: is true with namespaced_api.tenancy: tags, where namespaces share the blobs of one repository: " +
		"set it to false, or tenancy to repositories"
	const hub = "repository: is on Docker Hub, where namespaces cannot have repositories of their own below it: set namespaced_api.tenancy to tags"
	const room = "repository: leaves no room for the name of a namespace: with it, it could be longer than 255 characters: " +
		"choose a shorter path, or set namespaced_api.tenancy to tags"
	for data, want := range map[string]struct{ tenancy, problem string }{
		"{repository: r.io/a}":                                                                           {tenancy: "repositories"},
		"{repository: r.io/a, namespaced_api: {enabled: true}}":                                          {tenancy: "repositories"},
		"{repository: r.io/a, namespaced_api: {enabled: true, tenancy: repositories}}":                   {tenancy: "repositories"},
		"{repository: r.io/a, namespaced_api: {enabled: true, tenancy: repositories}, allow_pull: true}": {tenancy: "repositories"},
		"{repository: r.io/a, namespaced_api: {enabled: true, tenancy: tags}}":                           {tenancy: "tags"},
		"{repository: r.io/a, namespaced_api: {enabled: true, tenancy: tags}, allow_pull: true}":         {problem: "v.yml: " + shared},
		"{repository: r.io/a, namespaced_api: {tenancy: tags}, allow_pull: true}":                        {tenancy: "tags"},
		"{repository: r.io/a, namespaced_api: {enabled: true, tenancy: Tags}}":                           {problem: "v.yml: namespaced_api.tenancy: is not known: write repositories or tags"},
		"{repository: r.io/a, namespaced_api: {tenancy: namespaces}}":                                    {problem: "v.yml: namespaced_api.tenancy: is not known: write repositories or tags"},
		"{repository: user/repo, namespaced_api: {enabled: true}}":                                       {tenancy: "repositories", problem: "v.yml: " + hub},
		"{repository: docker.io/user/repo, namespaced_api: {enabled: true}}":                             {tenancy: "repositories", problem: "v.yml: " + hub},
		"{repository: user/repo, namespaced_api: {enabled: true, tenancy: tags}}":                        {tenancy: "tags"},
		"{repository: user/repo}":                                                    {tenancy: "repositories"},
		"{repository: " + long + ", namespaced_api: {enabled: true}}":                {tenancy: "repositories", problem: "v.yml: " + room},
		"{repository: " + long[:len(long)-1] + ", namespaced_api: {enabled: true}}":  {tenancy: "repositories"},
		"{repository: " + long + ", namespaced_api: {enabled: true, tenancy: tags}}": {tenancy: "tags"},
		"{shared: {image_registry: {project_path: user}}, namespaced_api: {enabled: true}}": {
			tenancy: "repositories", problem: "v.yml: shared.image_registry.project_path: " + strings.TrimPrefix(hub, "repository: "),
		},
	} {
		values, err := settings.Parse("v.yml", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		s := values.Resolve("v.yml")
		problem := ""
		if s.Problem != nil {
			problem = s.Problem.Error()
		}
		if diff := cmp.Diff([]string{want.tenancy, want.problem}, []string{s.Tenancy, problem}); diff != "" {
			t.Errorf("%s: tenancy and problem (-want +got):\n%s", data, diff)
		}
		if want.problem != "" && (!s.Invalid() || s.Registry+s.Repository != "" && s.Tenancy == "repositories") {
			t.Errorf("%s: used as %s/%s", data, s.Registry, s.Repository)
		}
	}
}
