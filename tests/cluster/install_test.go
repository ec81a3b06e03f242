// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// Where the operator installs from, the names of the packages, and the Secret with the credential.
const (
	installNamespace = "tap-install"
	packageName      = "local-source-proxy.apps.tanzu.vmware.com"
	profilesName     = "ootb-profiles.apps.tanzu.vmware.com"
	pushSecret       = "push-credentials"
)

// values are a package's, as the operator writes them.
type values map[string]any

// valuesFor are those that a real installation has: a repository, its CA, and a Secret in the operator's own
// namespace.
func valuesFor(t *testing.T, u *upstream, more values) values {
	t.Helper()
	v := values{
		"repository":   u.host + "/" + repository,
		"ca_cert_data": here.secret(t, "ca.crt"),
		"push_secret":  values{"name": pushSecret, "namespace": installNamespace, "create_export": true},
	}
	maps.Copy(v, more)
	return v
}

// manifest writes a resource. JSON is YAML.
func manifest(t *testing.T, resource any) string {
	t.Helper()
	content, err := json.Marshal(resource)
	if err != nil {
		t.Fatal(err)
	}
	return "---\n" + string(content) + "\n"
}

// addRepository makes the packages of a published version known, and waits until kapp-controller offers them.
func addRepository(t *testing.T, version string) {
	t.Helper()
	apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: installer, namespace: %[1]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tap-install-installer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: installer, namespace: %[1]s}]
---
apiVersion: packaging.carvel.dev/v1alpha1
kind: PackageRepository
metadata: {name: local-source-proxy, namespace: %[1]s}
spec: {fetch: {imgpkgBundle: {image: "%[2]s/package-repository:%[3]s"}}}
`, installNamespace, here.packages, version))
	for _, name := range []string{packageName, profilesName} {
		eventually(t, 2*time.Minute, "package "+name+"."+version, func() error {
			_, err := try(t.Context(), "", "get", "package", "-n", installNamespace, name+"."+version)
			return err
		})
	}
	// Where the credential is missing, the installation fails.
	if kubectl(t, "get", "secret", "-n", installNamespace, pushSecret, "--ignore-not-found", "-o", "name") == "" {
		setCredential(t, `{"auths":{}}`)
	}
}

// applyInstall writes a PackageInstall and its values Secret, and does not wait.
func applyInstall(t *testing.T, name, packageName, version string, v values) {
	t.Helper()
	content, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "metadata": values{"name": name + "-values", "namespace": installNamespace},
		"stringData": values{"values.yml": string(content)},
	})+manifest(t, values{
		"apiVersion": "packaging.carvel.dev/v1alpha1", "kind": "PackageInstall",
		// The test before may have left the newer version.
		"metadata": values{"name": name, "namespace": installNamespace, "annotations": values{"packaging.carvel.dev/downgradable": ""}},
		"spec": values{
			"serviceAccountName": "installer",
			"packageRef":         values{"refName": packageName, "versionSelection": values{"constraints": version, "prereleases": values{}}},
			"values":             []values{{"secretRef": values{"name": name + "-values"}}},
		},
	}))
}

// lostChild is what kapp-controller says when its reaper of orphans, which looks once a second, took the exit
// status of a program that another goroutine of it waits for (cmd/controller/sidecarexec.go). It tries again
// by itself.
const lostChild = "waitid: no child processes"

// reconciled waits until a PackageInstall has succeeded with its values of now: its App has seen a deploy
// since.
func reconciled(t *testing.T, name, version string, since time.Time) {
	t.Helper()
	eventually(t, 3*time.Minute, "PackageInstall "+name+" "+version, func() error {
		var install struct {
			Status struct {
				Version    string
				Conditions []struct{ Type, Status string }
				Useful     string `json:"usefulErrorMessage"`
			}
		}
		if err := get(t, &install, "packageinstall", "-n", installNamespace, name); err != nil {
			return err
		}
		var app struct {
			Metadata struct{ Generation int64 }
			Status   struct {
				ObservedGeneration int64
				Conditions         []struct{ Type, Status string }
				Deploy             struct {
					UpdatedAt time.Time
					StartedAt time.Time
					Finished  bool
				}
			}
		}
		if err := get(t, &app, "app", "-n", installNamespace, name); err != nil {
			return err
		}
		deploy := app.Status.Deploy
		if len(install.Status.Conditions) == 1 && install.Status.Conditions[0].Type == "ReconcileFailed" && deploy.StartedAt.After(since) &&
			!strings.Contains(install.Status.Useful, lostChild) {
			t.Fatalf("PackageInstall %s failed: %s", name, install.Status.Useful)
		}
		done := len(install.Status.Conditions) == 1 && install.Status.Conditions[0].Type == "ReconcileSucceeded" &&
			len(app.Status.Conditions) == 1 && app.Status.Conditions[0].Type == "ReconcileSucceeded" &&
			app.Status.ObservedGeneration == app.Metadata.Generation && install.Status.Version == version &&
			deploy.Finished && !deploy.StartedAt.Before(since)
		if !done {
			return fmt.Errorf("PackageInstall %+v, App %+v", install.Status, app.Status)
		}
		return nil
	})
}

// nextSecond waits for it: what starts from then on has a later time in its status, which counts whole
// seconds.
func nextSecond(t *testing.T) time.Time {
	t.Helper()
	next := time.Now().Truncate(time.Second).Add(time.Second)
	select {
	case <-t.Context().Done():
	case <-time.After(time.Until(next)):
	}
	return next
}

// get reads one resource into result.
func get(t *testing.T, result any, args ...string) error {
	t.Helper()
	out, err := try(t.Context(), "", append([]string{"get", "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), result); err != nil {
		return fmt.Errorf("kubectl get %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// install brings the package into the cluster with these values, whatever was there before, and waits until
// all is done.
func install(t *testing.T, version string, v values) {
	t.Helper()
	step(t, "installing %s %s", packageName, version)
	addRepository(t, version)
	since := nextSecond(t)
	applyInstall(t, "local-source-proxy", packageName, version, v)
	reconciled(t, "local-source-proxy", version, since)
}

// setCredential writes the Secret with the push credential where the operator has it, and waits for its copy
// in the package's namespace, where one is wanted.
func setCredential(t *testing.T, dockerConfig string) {
	t.Helper()
	apply(t, dockerSecret(t, pushSecret, dockerConfig))
	eventually(t, 2*time.Minute, "the credential is where it is used", func() error {
		wanted, err := try(t.Context(), "", "get", "secretimport", "-n", namespace, pushSecret, "--ignore-not-found", "-o", "name")
		if err != nil || wanted == "" {
			return err
		}
		var copied struct{ Data map[string][]byte }
		if err := get(t, &copied, "secret", "-n", namespace, pushSecret); err != nil {
			return err
		}
		if string(copied.Data[".dockerconfigjson"]) != dockerConfig {
			return errors.New("the copy is an older one")
		}
		return nil
	})
}

// dockerSecret is a Secret in the operator's namespace.
func dockerSecret(t *testing.T, name, dockerConfig string) string {
	t.Helper()
	return manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
		"metadata":   values{"name": name, "namespace": installNamespace},
		"stringData": values{".dockerconfigjson": dockerConfig},
	})
}

// installFor installs the older version for an upstream of the test's own, and waits until a push would work.
func installFor(t *testing.T, more values) *upstream {
	t.Helper()
	return installVersionFor(t, here.versions[0], more)
}

// installVersionFor is installFor with another version.
func installVersionFor(t *testing.T, version string, more values) *upstream {
	t.Helper()
	explain(t)
	u := startUpstream(t)
	install(t, version, valuesFor(t, u, more))
	setCredential(t, u.dockerConfig(u.user, u.password))
	admin := as(t, "admin")
	eventually(t, 2*time.Minute, "healthy", func() error { return health(t, admin, 200, "200") })
	return u
}

// health asks for it and says how it differs from what is expected.
func health(t *testing.T, user *throughAPIServer, status int, code string) error {
	t.Helper()
	got, err := user.do(t.Context(), "GET", prefix+"/health", nil, nil)
	if err != nil {
		return err
	}
	var body struct{ Statuscode, Message string }
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		return fmt.Errorf("status %d, not JSON: %s", got.status, got.body)
	}
	if got.status != status || body.Statuscode != code {
		return fmt.Errorf("status %d, statuscode %q, message %q; not %d and %q", got.status, body.Statuscode, body.Message, status, code)
	}
	return nil
}

// uninstall removes the package and waits until its namespace is gone.
func uninstall(t *testing.T) {
	t.Helper()
	step(t, "uninstalling")
	for _, name := range []string{"profiles", "local-source-proxy"} {
		kubectl(t, "delete", "packageinstall", "-n", installNamespace, name, "--ignore-not-found", "--timeout=3m")
	}
	eventually(t, 2*time.Minute, "namespace "+namespace+" is gone", func() error {
		out, err := try(t.Context(), "", "get", "namespace", namespace, "--ignore-not-found", "-o", "name")
		if err == nil && strings.TrimSpace(out) != "" {
			return fmt.Errorf("it is there: %s", out)
		}
		return err
	})
}
