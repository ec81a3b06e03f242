// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

func deployment(t *testing.T, all []object) appsv1.Deployment {
	t.Helper()
	return decode[appsv1.Deployment](t, find(t, all, namespace+"/Deployment/local-source-proxy"))
}

// deployments are those of the sides that are open.
func deployments(t *testing.T, all []object) []appsv1.Deployment {
	t.Helper()
	var found []appsv1.Deployment
	for _, o := range all {
		if o.text("kind") == "Deployment" {
			found = append(found, decode[appsv1.Deployment](t, o))
		}
	}
	return found
}

func TestRequestsStayBelowTheLimits(t *testing.T) {
	templates := productTemplates(t)
	for _, limit := range []string{"100Mi", "1Gi", "1.5Gi", "64M", "33554432", "102400Ki", "2G"} {
		t.Run(limit, func(t *testing.T) {
			d := deployment(t, mustRender(t, templates, "proxy_configuration: {limits: {memory: \""+limit+"\"}}"))
			container := d.Spec.Template.Spec.Containers[0]
			if got := container.Resources.Limits.Memory().String(); container.Resources.Limits.Memory().Value() == 0 {
				t.Errorf("memory limit is %s", got)
			}
			if container.Resources.Requests.Memory().Cmp(*container.Resources.Limits.Memory()) > 0 {
				t.Errorf("request %s is above the limit %s", container.Resources.Requests.Memory(), container.Resources.Limits.Memory())
			}
		})
	}
}

// TestGoKnowsTheLimitsOfThePod: from the kubelet, so that it is right when an overlay or an admission changes
// the limits.
func TestGoKnowsTheLimitsOfThePod(t *testing.T) {
	for _, d := range deployments(t, mustRender(t, productTemplates(t), caseValues(t, "everything"))) {
		from := map[string]string{}
		for _, variable := range d.Spec.Template.Spec.Containers[0].Env {
			if source := variable.ValueFrom; source != nil && source.ResourceFieldRef != nil {
				from[variable.Name] = source.ResourceFieldRef.Resource + source.ResourceFieldRef.Divisor.String()
			}
		}
		want := map[string]string{"GOMAXPROCS": "limits.cpu0", "POD_MEMORY_LIMIT": "limits.memory0"} // without a divisor: whole ones
		if !maps.Equal(from, want) {
			t.Errorf("%s: %v, want %v", d.Name, from, want)
		}
	}
}

func TestPodsAreHardened(t *testing.T) {
	templates := productTemplates(t)
	byPlatform := []string{"openshift", "shared", "image-proxy-ingress"}
	// A certificate, and what the cache keeps.
	withVolumes := []string{
		"image-proxy: image-proxy", "image-proxy-cache: image-proxy", "image-proxy-cache-claim: image-proxy", "image-proxy-cache-bucket: image-proxy",
	}
	for _, name := range goldenCases(t) {
		for _, d := range deployments(t, mustRender(t, templates, caseValues(t, name))) {
			pod, which := d.Spec.Template.Spec, name+": "+d.Name
			container := pod.Containers[0]
			switch {
			case pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot:
				t.Errorf("%s: may run as root", which)
			case pod.SecurityContext.SeccompProfile == nil || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault":
				t.Errorf("%s: no seccomp profile", which)
			case !*container.SecurityContext.ReadOnlyRootFilesystem:
				t.Errorf("%s: root file system can be written", which)
			case *container.SecurityContext.AllowPrivilegeEscalation:
				t.Errorf("%s: privilege escalation is allowed", which)
			case !slices.Equal(container.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}):
				t.Errorf("%s: keeps capabilities", which)
			case len(pod.Volumes) > 0 && !slices.Contains(withVolumes, which):
				t.Errorf("%s: mounts volumes: %v", which, pod.Volumes)
			}
			if given := pod.SecurityContext.RunAsUser != nil; given == slices.Contains(byPlatform, name) {
				t.Errorf("%s: user id given: %v", which, given)
			}
		}
	}
}

func TestShutdownFitsIntoTheGracePeriod(t *testing.T) {
	for _, d := range deployments(t, mustRender(t, productTemplates(t), "image_proxy: {enabled: true, external_url: https://images.example.com}")) {
		pod := d.Spec.Template.Spec
		if !slices.Contains(pod.Containers[0].Args, "--shutdown-timeout=300s") || *pod.TerminationGracePeriodSeconds <= 300 {
			t.Errorf("%s: args %v, grace period %d s", d.Name, pod.Containers[0].Args, *pod.TerminationGracePeriodSeconds)
		}
	}
}

func TestOnlyTheRoleReplacesThePods(t *testing.T) {
	templates := productTemplates(t)
	template := func(values string) string {
		text, err := yaml.Marshal(deployment(t, mustRender(t, templates, values)).Spec.Template)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const role = "push_secret: {aws_iam_role_arn: \"arn:aws:iam::123456789012:role/%\"}"
	if template(strings.Replace(role, "%", "a", 1)) == template(strings.Replace(role, "%", "b", 1)) {
		t.Error("another IAM role leaves the pods as they are")
	}
	if template("{}") != template("{repository: a.example.com/b, allow_pull: true, plain_http: true}") {
		t.Error("values that the server watches replace the pods")
	}
}

func TestServiceAccountReadsItsSecretsOnly(t *testing.T) {
	all := mustRender(t, productTemplates(t), caseValues(t, "everything"))
	role := decode[rbacv1.Role](t, find(t, all, namespace+"/Role/local-source-proxy-manager"))
	want := []rbacv1.PolicyRule{
		{
			APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "watch"},
			ResourceNames: []string{"local-source-proxy-values", "local-source-proxy-session-key", "lsp-push-credentials"},
		},
		{
			APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"update"},
			ResourceNames: []string{"local-source-proxy-session-key"},
		},
	}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// TestQuantitiesMayBeNumbers, as Kubernetes has them: YAML makes a number of an unquoted 1.
func TestQuantitiesMayBeNumbers(t *testing.T) {
	for written, want := range map[string][2]string{
		"{cpu: 1, memory: 134217728}": {"1", "134217728"}, "{cpu: 0.5, memory: 128Mi}": {"500m", "128Mi"}, `{cpu: "1", memory: 1Gi}`: {"1", "1Gi"},
	} {
		values := "{proxy_configuration: {limits: " + written + "}, image_proxy: {enabled: true, external_url: \"https://images.example.com\", limits: " + written + "}}"
		for _, d := range deployments(t, mustRender(t, productTemplates(t), values)) {
			limits := d.Spec.Template.Spec.Containers[0].Resources.Limits
			if got := [2]string{limits.Cpu().String(), limits.Memory().String()}; got != want {
				t.Errorf("%s: %s has the limits %v", written, d.Name, got)
			}
		}
	}
}
