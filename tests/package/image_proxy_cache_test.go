// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// cached is the image proxy's Deployment with a cache.
func cached(t *testing.T, cache, more string) appsv1.Deployment {
	t.Helper()
	values := "image_proxy: {enabled: true, external_url: https://images.example.com, " + more + "cache: {enabled: true" + cache + "}}"
	return decode[appsv1.Deployment](t, find(t, mustRender(t, productTemplates(t), values), namespace+"/Deployment/image-proxy"))
}

// TestTheCacheIsToldItsValues: each comes to the server as a part of one URL.
func TestTheCacheIsToldItsValues(t *testing.T) {
	for values, want := range map[string]string{
		"":                              "file:///var/cache/image-proxy?size=10Gi&stale=24h",
		", size: 20Gi, stale: 1h30m":    "file:///var/cache/image-proxy?size=20Gi&stale=1h30m",
		", size: 21474836480, stale: 0": "file:///var/cache/image-proxy?size=21474836480&stale=0",
		", storage: images, size: 50Gi, strict: true":                      "file:///var/cache/image-proxy?size=50Gi&stale=24h&strict=true",
		`, storage: "gs://images"`:                                         "gs://images?stale=24h",
		`, storage: "azblob://images", signed_urls: true, secret: keys`:    "azblob://images?stale=24h&signed_urls=true",
		`, storage: "s3://images?region=eu-central-1&use_path_style=true"`: "s3://images?region=eu-central-1&use_path_style=true&stale=24h",
	} {
		args := cached(t, values, "").Spec.Template.Spec.Containers[0].Args
		if !slices.Contains(args, "--image-proxy-cache="+want) {
			t.Errorf("%q: %q, want %s", values, args, want)
		}
	}
}

// TestTheCacheHasItsDisk: the root file system cannot be written, and a pod that goes beyond a volume's limit is
// evicted.
func TestTheCacheHasItsDisk(t *testing.T) {
	type disk struct {
		Path, Claim, Limit, Request string
		EmptyDir                    bool
		Group                       int64
	}
	for values, want := range map[string]disk{
		"":                              {Path: "/var/cache/image-proxy", EmptyDir: true, Limit: "20Gi", Request: "10Gi"},
		", size: 1.5Gi":                 {Path: "/var/cache/image-proxy", EmptyDir: true, Limit: "3Gi", Request: "1536Mi"},
		", storage: images, size: 50Gi": {Path: "/var/cache/image-proxy", Claim: "images", Limit: "0", Request: "0", Group: 65532},
		`, storage: "s3://images"`:      {Path: "/tmp", EmptyDir: true, Limit: "0", Request: "0"},
	} {
		pod := cached(t, values, "").Spec.Template.Spec
		container := pod.Containers[0]
		if len(pod.Volumes) != 1 || len(container.VolumeMounts) != 1 || container.VolumeMounts[0].Name != pod.Volumes[0].Name {
			t.Fatalf("%q: volumes %v, mounts %v", values, pod.Volumes, container.VolumeMounts)
		}
		volume := pod.Volumes[0]
		request := container.Resources.Requests[corev1.ResourceEphemeralStorage]
		got := disk{Path: container.VolumeMounts[0].MountPath, EmptyDir: volume.EmptyDir != nil, Limit: "0", Request: request.String()}
		if volume.EmptyDir != nil && volume.EmptyDir.SizeLimit != nil {
			got.Limit = volume.EmptyDir.SizeLimit.String()
		}
		if volume.PersistentVolumeClaim != nil {
			got.Claim = volume.PersistentVolumeClaim.ClaimName
		}
		if pod.SecurityContext.FSGroup != nil {
			got.Group = *pod.SecurityContext.FSGroup
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", values, diff)
		}
	}
	// OpenShift chooses the group.
	all := mustRender(t, productTemplates(t), "{kubernetes_distribution: openshift, image_proxy: {enabled: true, tls_secret: tls, cache: {enabled: true, storage: images, size: 5Gi}}}")
	pod := decode[appsv1.Deployment](t, find(t, all, namespace+"/Deployment/image-proxy")).Spec.Template.Spec
	if pod.SecurityContext.FSGroup != nil || len(pod.Volumes) != 2 || len(pod.Containers[0].VolumeMounts) != 2 {
		t.Errorf("group %v, volumes %v", pod.SecurityContext.FSGroup, pod.Volumes)
	}
}

// TestOnePodEndsBeforeTheNext, where both cannot have the volume.
func TestOnePodEndsBeforeTheNext(t *testing.T) {
	const claim = ", storage: images, size: 50Gi"
	for _, test := range []struct {
		cache, replicas string
		surge           int
	}{{"", "1", 1}, {claim, "1", 0}, {claim, "2", 1}, {`, storage: "s3://images"`, "1", 1}} {
		update := cached(t, test.cache, "replicas: "+test.replicas+", ").Spec.Strategy.RollingUpdate
		if update.MaxSurge.IntValue() != test.surge || update.MaxUnavailable.IntValue() != 1-test.surge {
			t.Errorf("%+v: %v more, %v fewer", test, update.MaxSurge, update.MaxUnavailable)
		}
	}
}

// TestTheKeysOfABucket come from the Secret, which the server itself cannot read.
func TestTheKeysOfABucket(t *testing.T) {
	all := mustRender(t, productTemplates(t), caseValues(t, "image-proxy-cache-bucket"))
	for _, d := range deployments(t, all) {
		from := d.Spec.Template.Spec.Containers[0].EnvFrom
		if (len(from) == 1 && from[0].SecretRef != nil && from[0].SecretRef.Name == "images-bucket") != (d.Name == "image-proxy") {
			t.Errorf("%s has the variables of %v", d.Name, from)
		}
	}
	for _, rule := range rulesOf(t, all, "image-proxy") {
		if slices.Contains(rule.ResourceNames, "images-bucket") {
			t.Errorf("it may %v the keys", rule.Verbs)
		}
	}
}

// TestRenderingSaysWhatTheCacheLeavesOpen, on standard error.
func TestRenderingSaysWhatTheCacheLeavesOpen(t *testing.T) {
	const shared, signed = `the claim "images", and image_proxy.replicas is 2: the claim must be ReadWriteMany`, "image_proxy.cache.signed_urls is true"
	for values, want := range map[string]string{
		"cache: {enabled: true}":                                            "",
		"cache: {enabled: true, storage: images, size: 5Gi}":                shared,
		"replicas: 1, cache: {enabled: true, storage: images, size: 5Gi}":   "",
		`cache: {enabled: true, storage: "s3://images"}`:                    "",
		`cache: {enabled: true, storage: "s3://images", signed_urls: true}`: signed,
	} {
		said := render(t, productTemplates(t), "image_proxy: {enabled: true, tls_secret: tls, "+values+"}").stderr
		for _, note := range []string{shared, signed} {
			if strings.Contains(said, note) != (note == want) {
				t.Errorf("%q: %s", values, said)
			}
		}
	}
}
