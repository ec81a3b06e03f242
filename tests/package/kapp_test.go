// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"slices"
	"testing"

	kappconfig "carvel.dev/kapp/pkg/kapp/config"
	kappdiff "carvel.dev/kapp/pkg/kapp/diff"
	"carvel.dev/kapp/pkg/kapp/diffgraph"
	"carvel.dev/kapp/pkg/kapp/logger"
	kappresources "carvel.dev/kapp/pkg/kapp/resources"
)

// kappObject is an object as kapp has it, with fields changed.
func kappObject(t *testing.T, o object, change func(map[string]any)) kappresources.Resource {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	copied := map[string]any{}
	if err := json.Unmarshal(text, &copied); err != nil {
		t.Fatal(err)
	}
	change(copied)
	if text, err = json.Marshal(copied); err != nil {
		t.Fatal(err)
	}
	return kappresources.MustNewResourceFromBytes(text)
}

func unchanged(map[string]any) {}

// kappConfig is what kapp goes by when it is told nothing.
func kappConfig(t *testing.T) kappconfig.Conf {
	t.Helper()
	_, config, err := kappconfig.NewConfFromResourcesWithDefaults(nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// TestKappLeavesTheCertificateAlone: kapp's own code sees no change where the server has written the caBundle,
// by a rebase rule that it has by default. What else is edited by hand it does put right.
func TestKappLeavesTheCertificateAlone(t *testing.T) {
	rendered := find(t, mustRender(t, productTemplates(t), "namespaced_api: {enabled: true}"), "/APIService/"+apiService)
	config := kappConfig(t)
	spec := func(o map[string]any) map[string]any { return o["spec"].(map[string]any) }
	written := func(o map[string]any) {
		spec(o)["caBundle"] = "Q0E="
		o["status"] = map[string]any{"conditions": []any{}}
		metadata := o["metadata"].(map[string]any)
		metadata["resourceVersion"], metadata["uid"] = "7", "b2f6"
		metadata["managedFields"] = []any{map[string]any{"manager": "local-source-proxy"}}
	}
	for _, c := range []struct {
		name   string
		rules  []kappresources.ResourceModWithMultiple
		change func(map[string]any)
		want   kappdiff.ChangeOp
	}{
		{"as the server leaves it", config.RebaseMods(), written, kappdiff.ChangeOpKeep},
		{"another priority", config.RebaseMods(), func(o map[string]any) { written(o); spec(o)["versionPriority"] = 1 }, kappdiff.ChangeOpUpdate},
		{"a kapp without rules", nil, written, kappdiff.ChangeOpUpdate},
	} {
		factory := kappdiff.NewChangeFactory(c.rules, nil, config.DiffAgainstExistingFieldExclusionMods(), kappdiff.ChangeOpts{})
		change, err := factory.NewChangeAgainstLastApplied(kappObject(t, rendered, c.change), kappObject(t, rendered, unchanged))
		if err != nil {
			t.Fatal(err)
		}
		if change.Op() != c.want {
			t.Errorf("%s: kapp would %s it, want %s:\n%s", c.name, change.Op(), c.want, change.ConfigurableTextDiff().Full().FullString())
		}
	}
}

// planned is a change that kapp is to make.
type planned struct {
	resource kappresources.Resource
	op       diffgraph.ActualChangeOp
}

func (p planned) Resource() kappresources.Resource { return p.resource }
func (p planned) Op() diffgraph.ActualChangeOp     { return p.op }

// TestTheAPIServiceIsThereOnlyWhileSomethingAnswers: an API without a server keeps every namespace of the cluster
// from being deleted. kapp's own code orders the changes, of the package and of the profile.
func TestTheAPIServiceIsThereOnlyWhileSomethingAnswers(t *testing.T) {
	const on = "namespaced_api: {enabled: true}"
	product, profile := productTemplates(t), profileTemplates(t)
	for _, app := range []struct {
		server string
		with   []object
	}{
		{namespace + "/Deployment/local-source-proxy", mustRender(t, product, on)},
		{"tap-install/PackageInstall/local-source-proxy", mustRender(t, profile, "local_source_proxy: {"+on+"}")},
	} {
		for _, c := range []struct {
			name        string
			server, api diffgraph.ActualChangeOp
			later       string
		}{
			{"install", diffgraph.ActualChangeOpUpsert, diffgraph.ActualChangeOpUpsert, "/APIService/" + apiService},
			{"turn off", diffgraph.ActualChangeOpUpsert, diffgraph.ActualChangeOpDelete, app.server},
			{"uninstall", diffgraph.ActualChangeOpDelete, diffgraph.ActualChangeOpDelete, app.server},
		} {
			var changes []diffgraph.ActualChange
			for _, o := range app.with {
				op := c.server
				if o.text("kind") == "APIService" {
					op = c.api
				}
				changes = append(changes, planned{kappObject(t, o, unchanged), op})
			}
			config := kappConfig(t)
			graph, err := diffgraph.NewChangeGraph(changes, config.ChangeGroupBindings(), config.ChangeRuleBindings(), logger.NewNoopLogger())
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			first, later := app.server, c.later
			if later == first {
				first = "/APIService/" + apiService
			}
			if !changeOf(t, graph, later).IsTransitivelyWaitingFor(changeOf(t, graph, first)) {
				t.Errorf("%s: %s does not wait for %s", c.name, later, first)
			}
		}
	}
}

func changeOf(t *testing.T, graph *diffgraph.ChangeGraph, id string) *diffgraph.Change {
	t.Helper()
	all := graph.All()
	i := slices.IndexFunc(all, func(change *diffgraph.Change) bool {
		resource := change.Change.Resource()
		return resource.Namespace()+"/"+resource.Kind()+"/"+resource.Name() == id
	})
	if i < 0 {
		t.Fatalf("kapp does not change %s", id)
	}
	return all[i]
}
