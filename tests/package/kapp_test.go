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

// kappConfig is what kapp goes by: its defaults, and what the package adds.
func kappConfig(t *testing.T, all []object) kappconfig.Conf {
	t.Helper()
	var resources []kappresources.Resource
	for _, o := range all {
		resources = append(resources, kappObject(t, o, unchanged))
	}
	_, config, err := kappconfig.NewConfFromResourcesWithDefaults(resources)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// inCluster makes of a rendered object what the API server and our own server have made of it.
func inCluster(o map[string]any) {
	metadata := o["metadata"].(map[string]any)
	metadata["resourceVersion"], metadata["uid"] = "7", "b2f6"
	metadata["managedFields"] = []any{map[string]any{"manager": "local-source-proxy"}}
	switch o["kind"] {
	case "APIService":
		o["spec"].(map[string]any)["caBundle"] = "Q0E="
		o["status"] = map[string]any{"conditions": []any{}}
	case "Secret":
		if o["data"] == nil && o["stringData"] == nil {
			o["data"] = map[string]any{"key": "a2V5"}
		}
	}
}

// TestKappLeavesAloneWhatTheServerWrites: kapp's own code sees no change in a second round, neither in the caBundle,
// by a rule that it has by default, nor in keys and certificates. A Secret that the server has made again it takes
// up, with what is in it; and what somebody else has changed it puts right.
func TestKappLeavesAloneWhatTheServerWrites(t *testing.T) {
	all := mustRender(t, productTemplates(t), "{namespaced_api: {enabled: true}, image_proxy: {enabled: true, external_url: https://images.example.com}}")
	config := kappConfig(t, all)
	factory := kappdiff.NewChangeFactory(config.RebaseMods(), nil, config.DiffAgainstExistingFieldExclusionMods(), kappdiff.ChangeOpts{})
	changeOf := func(o object, existing func(map[string]any)) kappdiff.Change {
		change, err := factory.NewChangeAgainstLastApplied(kappObject(t, o, existing), kappObject(t, o, unchanged))
		if err != nil {
			t.Fatal(err)
		}
		return change
	}
	for _, o := range all {
		if change := changeOf(o, inCluster); change.Op() != kappdiff.ChangeOpKeep {
			t.Errorf("kapp would %s %s:\n%s", change.Op(), o.id(), change.ConfigurableTextDiff().Full().FullString())
		}
	}
	again := changeOf(find(t, all, namespace+"/Secret/local-source-proxy-api-certificate"), func(o map[string]any) {
		inCluster(o)
		delete(o["metadata"].(map[string]any), "labels")
	})
	if written := again.NewResource().UnstructuredObject(); again.Op() != kappdiff.ChangeOpUpdate || object(written).text("data", "key") != "a2V5" {
		t.Errorf("of a Secret that was made again, kapp would %s %v", again.Op(), written)
	}
	edited := changeOf(find(t, all, "/APIService/"+apiService), func(o map[string]any) {
		inCluster(o)
		o["spec"].(map[string]any)["versionPriority"] = 1
	})
	if edited.Op() != kappdiff.ChangeOpUpdate {
		t.Errorf("what was edited by hand, kapp would %s", edited.Op())
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
			config := kappConfig(t, app.with)
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
