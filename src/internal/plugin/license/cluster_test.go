// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/dynamic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

const namespace = "tap-local-source-system"

// cluster makes an API server and the store of a user.
func cluster(t *testing.T, token string, dryRun bool) (*lsptest.API, *license.Cluster) {
	t.Helper()
	api := &lsptest.API{}
	c := lsptest.NewCluster(t, http.NotFoundHandler())
	c.API = api
	client, err := dynamic.NewForConfig(c.Config(token))
	if err != nil {
		t.Fatal(err)
	}
	return api, license.NewCluster(client, namespace, dryRun)
}

// object is a license as the API server has it, with a key that this version does not know.
func object(name string) map[string]any {
	return map[string]any{
		"apiVersion": v1alpha1.APIVersion, "kind": "License", "metadata": map[string]any{"labels": map[string]any{"a": "b"}},
		"spec": map[string]any{
			"appSlug": "shop", "customerName": "Acme", "ofLaterVersions": true,
			"credentials": []any{map[string]any{"name": "license-id", "sha256": v1alpha1.Hash(name)}},
		},
		"status": map[string]any{"pulls": 7, "lastPulled": "2026-11-20T08:00:00Z"},
	}
}

func TestClusterUpdateWritesTheDifference(t *testing.T) {
	api, store := cluster(t, lsptest.Developer, false)
	api.Put("licenses", namespace, "acme", object("acme"))
	changed, err := store.Update(t.Context(), "acme", func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil })
	if err != nil || !changed.Spec.Revoked || changed.Status.Pulls != 7 {
		t.Fatalf("%+v, %v", changed, err)
	}
	want := object("acme")
	want["spec"].(map[string]any)["revoked"] = true
	want["metadata"] = map[string]any{
		"labels": map[string]any{"a": "b"}, "annotations": map[string]any{v1alpha1.RevokedAtAnnotation: "2026-11-21T08:00:00Z"},
		"name": "acme", "namespace": namespace, "resourceVersion": "2",
	}
	if diff := cmp.Diff(jsonOf(t, want), jsonOf(t, api.Object("licenses", namespace, "acme"))); diff != "" {
		t.Error(diff)
	}
	api.OnWrite = func() { t.Error("what changes nothing was written") }
	if _, err := store.Update(t.Context(), "acme", func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil }); err != nil {
		t.Error(err)
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestClusterConflict: of two administrators who change a license at the same time both get their way.
func TestClusterConflict(t *testing.T) {
	api, store := cluster(t, lsptest.Developer, false)
	api.Put("licenses", namespace, "acme", object("acme"))
	others := 2
	api.OnWrite = func() {
		if others--; others >= 0 {
			theirs := object("acme")
			theirs["spec"].(map[string]any)["customerEmail"] = "ops@acme.example"
			api.Put("licenses", namespace, "acme", theirs)
		}
	}
	changed, err := store.Update(t.Context(), "acme", func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil })
	if err != nil || !changed.Spec.Revoked || changed.Spec.CustomerEmail != "ops@acme.example" {
		t.Errorf("%+v, %v", changed, err)
	}
	api.OnWrite = func() { api.Put("licenses", namespace, "acme", object("acme")) }
	api.OnWrite()
	_, err = store.Update(t.Context(), "acme", func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil })
	if err == nil || !strings.Contains(err.Error(), "others keep changing it; try again in a minute") {
		t.Error(err)
	}
}

func TestClusterCreateListDelete(t *testing.T) {
	api, store := cluster(t, lsptest.Developer, false)
	l, err := license.New(license.Request{App: "shop", Customer: "Acme"}, hash)
	if err != nil {
		t.Fatal(err)
	}
	created, err := store.Create(t.Context(), l)
	if err != nil || created.ResourceVersion == "" || created.Namespace != namespace {
		t.Fatalf("%+v, %v", created, err)
	}
	_, err = store.Create(t.Context(), l)
	if _, exists := errors.AsType[*license.ExistsError](err); !exists {
		t.Errorf("a taken name: %v", err)
	}
	api.Put("licenses", namespace, "a", object("a"))
	api.Put("licenses", "elsewhere", "b", object("b"))
	all, err := store.List(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Name != "acme" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := store.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if api.Object("licenses", namespace, "a") != nil {
		t.Error("it is still there")
	}
}

func TestClusterDryRun(t *testing.T) {
	api, store := cluster(t, lsptest.Developer, true)
	api.Put("licenses", namespace, "acme", object("acme"))
	before := jsonOf(t, api.Object("licenses", namespace, "acme"))
	if _, err := store.Create(t.Context(), acme("")); err == nil {
		t.Error("the API server was not asked: the name is taken")
	}
	l, err := store.Update(t.Context(), "acme", func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil })
	if err != nil || !l.Spec.Revoked {
		t.Errorf("%+v, %v", l, err)
	}
	if err := store.Delete(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, jsonOf(t, api.Object("licenses", namespace, "acme"))); diff != "" {
		t.Error(diff)
	}
}

// TestClusterRefusals holds that each way in which a cluster says no has its own remedy.
func TestClusterRefusals(t *testing.T) {
	change := func(*v1alpha1.License) error { return nil }
	tests := []struct{ name, token, without, want string }{
		{"no CRD", lsptest.Developer, "licenses", "the cluster has no licenses (licenses.imageproxy.apps.tanzu.vmware.com): install the package with image_proxy.enabled"},
		{"no RBAC", lsptest.Stranger, "", "you may not "},
		{"no credential", "old", "", "the API server does not accept your credential: log in again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api, store := cluster(t, tt.token, false)
			api.Without = tt.without
			_, listed := store.List(t.Context())
			_, got := store.Get(t.Context(), "acme")
			_, created := store.Create(t.Context(), acme(""))
			_, updated := store.Update(t.Context(), "acme", change)
			for what, err := range map[string]error{"list": listed, "get": got, "create": created, "update": updated, "delete": store.Delete(t.Context(), "acme")} {
				if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
					t.Errorf("%s: %v, want %s", what, err, tt.want)
				}
			}
		})
	}
	_, store := cluster(t, lsptest.Developer, false)
	_, err := store.Get(t.Context(), "acme")
	if _, missing := errors.AsType[*license.NotFoundError](err); !missing || err.Error() != `there is no license "acme" in namespace tap-local-source-system` {
		t.Error(err)
	}
}

func TestPreview(t *testing.T) {
	api, store := cluster(t, lsptest.Developer, false)
	api.Put("licenses", namespace, "acme", object("acme"))
	api.OnWrite = func() { t.Error("something was written") }
	dry := license.Preview(store)
	if l, err := dry.Update(t.Context(), "acme", func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil }); err != nil || !l.Spec.Revoked {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := dry.Create(t.Context(), acme("")); err != nil {
		t.Error(err)
	}
	if err := errors.Join(dry.Delete(t.Context(), "acme")); err != nil {
		t.Error(err)
	}
	if err := dry.Delete(t.Context(), "nobody"); err == nil {
		t.Error("what is not there can be deleted")
	}
}
