// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A customer's kubelet pulls with a license, for as long as that is in force.
func TestImageProxy(t *testing.T) {
	p := installImageProxy(t)
	p.applyObjects(t)
	p.replicas(t, p.client(t))

	step(t, "the customer's kubelet pulls with the license")
	p.startPod(t, "first")
	kubectl(t, "wait", "-n", customerNamespace, "pod/first", "--for=condition=Ready", "--timeout=1m")

	step(t, "the license is revoked")
	p.edit(t, true, http.StatusForbidden)
	p.startPod(t, "second")
	eventually(t, 2*time.Minute, "the kubelet is refused", func() error {
		message := kubectl(t, "get", "pod", "-n", customerNamespace, "second", "-o", "jsonpath={.status.containerStatuses[0].state.waiting}")
		if !strings.Contains(message, "403") {
			return fmt.Errorf("it waits for %s", message)
		}
		return nil
	})
	kubectl(t, "wait", "-n", namespace, "license/"+license, "--for=condition=Revoked", "--timeout=1m")

	step(t, "and is in force again")
	p.edit(t, false, http.StatusOK)
	kubectl(t, "wait", "-n", customerNamespace, "pod/second", "--for=condition=Ready", "--timeout=2m")

	eventually(t, 2*time.Minute, "the license's status counts", func() error {
		status := kubectl(t, "get", "license", "-n", namespace, license, "-o", "jsonpath={.status.pulls} {.status.lastPulled}")
		if pulls, last, _ := strings.Cut(status, " "); pulls == "" || pulls == "0" || last == "" {
			return fmt.Errorf("pulls and time are %q", status)
		}
		return nil
	})
	step(t, "kubectl get licenses\n%s", kubectl(t, "get", "licenses", "-n", namespace))
	columns := strings.Fields(strings.Split(kubectl(t, "get", "licenses", "-n", namespace), "\n")[0])
	if want := []string{"NAME", "APP", "CUSTOMER", "EXPIRES", "REVOKED", "PULLS", "LAST", "PULLED"}; !slices.Equal(columns, want) {
		t.Errorf("kubectl prints the columns %v", columns)
	}
}

// What cannot be right is refused by the API server, and what only the server can tell is said in the
// object's status.
func TestImageProxyObjects(t *testing.T) {
	p := installImageProxy(t)
	p.applyObjects(t)
	for _, each := range []struct {
		object values
		want   string
	}{
		{object("License", "bad", values{"appSlug": "My App", "customerName": "Acme"}), "spec.appSlug"},
		{object("License", "bad", values{"appSlug": appSlug, "customerName": "Acme", "expiresAt": "2027-02-30T00:00:00Z"}), "spec.expiresAt"},
		{object("License", "bad", values{"appSlug": appSlug, "customerName": "Acme", "expiresat": ""}), "expiresat"},
		{object("ExternalRegistry", "bad", values{"hostname": "https://quay.io"}), "spec.hostname"},
		{object("ExternalRegistry", "bad", values{"hostname": "quay.io", "credentials": values{"dockerConfigFile": "a"}}), "has no meaning in a cluster"},
	} {
		_, err := try(t.Context(), manifest(t, each.object), "apply", "--validate=strict", "-f", "-")
		if err == nil || !strings.Contains(err.Error(), each.want) {
			t.Errorf("%v: %v", each.object["spec"], err)
		}
	}
	apply(t, manifest(t, object("ExternalRegistry", "impossible", values{"hostname": "quay.io:99999"})))
	kubectl(t, "wait", "-n", namespace, "externalregistry/impossible", "--for=condition=Valid=False", "--timeout=1m")
	message := kubectl(t, "get", "externalregistry", "-n", namespace, "impossible", "-o", `jsonpath={.status.conditions[?(@.type=="Valid")].message}`)
	if !strings.Contains(message, "hostname") {
		t.Errorf("its status says %q", message)
	}
	step(t, "the status of a registry that cannot be: %s", message)
	p.replicas(t, p.client(t)) // the others stay in force
}

// The image proxy cannot get at what the source proxy pushes with.
func TestImageProxyRights(t *testing.T) {
	installImageProxy(t)
	kubectl(t, "create", "serviceaccount", "-n", namespace, "nobody")
	mine, others := rights(t, "image-proxy"), rights(t, "nobody")
	mine = slices.DeleteFunc(mine, func(line string) bool { return slices.Contains(others, line) })
	const group = "." + objectGroup
	want := []string{
		"externalregistries" + group + " [] [] [get list watch]",
		"externalregistries" + group + "/status [] [] [update]",
		"licenses" + group + " [] [] [get list watch]",
		"licenses" + group + "/status [] [] [update]",
		"secrets [] [image-proxy-token-key] [get list watch update]",
		"secrets [] [" + vendorSecret + "] [get list watch]",
	}
	if !slices.Equal(mine, want) {
		t.Errorf("it can\n%s\nand should\n%s", strings.Join(mine, "\n"), strings.Join(want, "\n"))
	}

	account := []string{"-n", namespace, "--as", "system:serviceaccount:" + namespace + ":image-proxy"}
	refused := func(what, want, input string, args ...string) {
		t.Helper()
		if _, err := try(t.Context(), input, append(args, account...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, secret := range []string{pushSecret, "local-source-proxy-values", "local-source-proxy-session-key"} {
		refused("it reads "+secret, "forbidden", "", "get", "secret", secret)
	}
	refused("it lists Secrets", "forbidden", "", "get", "secrets")
	refused("it writes licenses", "forbidden", manifest(t, object("License", "own", values{"appSlug": appSlug, "customerName": "Acme"})), "create", "-f", "-")
	// A Secret of this type is given the token of the account that it names. Under the name of one that may
	// be read it would be a way to the push Secret.
	tokenSecret := func(name string) string {
		return manifest(t, values{
			"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
			"metadata": values{"name": name, "namespace": namespace, "annotations": values{"kubernetes.io/service-account.name": "proxy-manager"}},
		})
	}
	kubectl(t, "delete", "secret", "-n", namespace, vendorSecret)
	refused("it makes a Secret for another account's token", "forbidden", tokenSecret(vendorSecret), "create", "-f", "-")
	refused("it turns its own Secret into such a one", "immutable", tokenSecret("image-proxy-token-key"), "replace", "-f", "-")
}

// Uninstalling takes the programs, and not the licenses; installing again finds them.
func TestLicensesOutliveThePackage(t *testing.T) {
	p := installImageProxy(t)
	p.applyObjects(t)
	p.replicas(t, p.client(t))

	step(t, "uninstalling")
	kubectl(t, "delete", "packageinstall", "-n", installNamespace, "local-source-proxy", "--timeout=3m")
	if left := kubectl(t, "get", "deployments,services,serviceaccounts,roles", "-n", namespace, "-o", "name"); left != "serviceaccount/default" {
		t.Errorf("left behind: %s", left)
	}
	kubectl(t, "get", "-n", namespace, "license/"+license, "externalregistry/vendor", "secret/"+vendorSecret)

	step(t, "installing again")
	install(t, here.versions[1], p.values)
	p.replicas(t, p.client(t))

	step(t, "the image proxy is turned off")
	install(t, here.versions[1], valuesFor(t, p.upstream, nil))
	kubectl(t, "get", "-n", namespace, "license/"+license)
	if left := podsOf(t, "image-proxy"); slices.ContainsFunc(left, func(p pod) bool { return !p.deleted }) {
		t.Errorf("pods of the image proxy: %+v", left)
	}

	step(t, "uninstalling while it is off")
	kubectl(t, "delete", "packageinstall", "-n", installNamespace, "local-source-proxy", "--timeout=3m")
	kubectl(t, "get", "-n", namespace, "license/"+license, "externalregistry/vendor", "secret/"+vendorSecret)

	step(t, "installing again, with the image proxy")
	install(t, here.versions[1], p.values)
	p.replicas(t, p.client(t))
}

// A platform's profile brings the image proxy by an account that has no right on the cluster, and takes no
// licenses when it goes.
func TestProfileWithImageProxy(t *testing.T) {
	explain(t)
	uninstall(t)
	t.Cleanup(func() { removeImageProxy(t) })
	u := startUpstream(t)
	addRepository(t, here.versions[0])
	since := nextSecond(t)
	platform := values{"profile": "full", "local_source_proxy": values{
		"repository": u.host + "/" + repository, "image_proxy": values{"enabled": true, "replicas": 1, "external_url": "https://images.example.com"}, "monitoring": values{"grafana_dashboard": true},
	}}
	applyInstall(t, "profiles", profilesName, here.versions[0], platform)
	reconciled(t, "profiles", here.versions[0], since)
	kubectl(t, "wait", "-n", namespace, "deployment/image-proxy", "--for=condition=Available", "--timeout=1m")
	apply(t, manifest(t, object("License", license, values{"appSlug": appSlug, "customerName": "Acme"})))
	kubectl(t, "wait", "-n", namespace, "license/"+license, "--for=condition=Valid", "--timeout=1m")

	step(t, "the image proxy is turned off")
	since = nextSecond(t)
	platform["local_source_proxy"] = values{"repository": u.host + "/" + repository, "image_proxy": values{"enabled": false}}
	applyInstall(t, "profiles", profilesName, here.versions[0], platform)
	reconciled(t, "profiles", here.versions[0], since)
	if left := kubectl(t, "get", "deployment,serviceaccount,configmap", "-n", namespace, "-l", "app.kubernetes.io/name=image-proxy", "-o", "name"); left != "" {
		t.Errorf("left behind: %s", left)
	}

	step(t, "on again, and then the profile is another")
	since = nextSecond(t)
	platform["local_source_proxy"] = values{"repository": u.host + "/" + repository, "image_proxy": values{"enabled": true, "replicas": 1, "external_url": "https://images.example.com"}}
	applyInstall(t, "profiles", profilesName, here.versions[0], platform)
	reconciled(t, "profiles", here.versions[0], since)
	since = nextSecond(t)
	platform["profile"] = "run"
	applyInstall(t, "profiles", profilesName, here.versions[0], platform)
	reconciled(t, "profiles", here.versions[0], since)
	if left := kubectl(t, "get", "deployments", "-n", namespace, "-o", "name"); left != "" {
		t.Errorf("left behind: %s", left)
	}
	kubectl(t, "get", "-n", namespace, "license/"+license)
}
