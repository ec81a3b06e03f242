// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/store"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/kubetest"
)

const namespace = "tap-local-source-system"

// replica is one server that follows a cluster.
type replica struct {
	*store.Store
	log  *lines
	stop func()
}

// inCluster runs test in a bubble, in which a minute takes no time.
func inCluster(t *testing.T, test func(*testing.T, *kubetest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, kubetest.New(t)) })
}

// start follows a cluster until the test ends, or it is stopped.
func start(t *testing.T, server *kubetest.Server) *replica {
	t.Helper()
	r := &replica{log: &lines{}}
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	client, err := kube.NewImageProxyAt(server.Config(), namespace, logger)
	if err != nil {
		t.Fatal(err)
	}
	r.follow(t, store.Config{Cluster: client, Log: logger})
	settle()
	return r
}

// follow starts the replica's store, which ends with the test or by stop.
func (r *replica) follow(t *testing.T, cfg store.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	if r.Store, err = store.Follow(ctx, cfg); err != nil {
		cancel()
		t.Fatal(err)
	}
	r.stop = func() {
		cancel()
		if err := r.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
		synctest.Wait()
	}
	t.Cleanup(r.stop)
}

// settle lets a change come into force: well under a second.
func settle() {
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

func acme(edit ...func(*v1alpha1.License)) *v1alpha1.License {
	l := &v1alpha1.License{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.LicenseKind},
		ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: namespace},
		Spec: v1alpha1.LicenseSpec{
			AppSlug: "app", CustomerName: "Acme", Credentials: []v1alpha1.Credential{{Name: "id", SHA256: v1alpha1.Hash("acme")}},
		},
	}
	for _, each := range edit {
		each(l)
	}
	return l
}

func quay(edit ...func(*v1alpha1.ExternalRegistry)) *v1alpha1.ExternalRegistry {
	r := &v1alpha1.ExternalRegistry{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.RegistryKind},
		ObjectMeta: metav1.ObjectMeta{Name: "quay", Namespace: namespace},
		Spec: v1alpha1.ExternalRegistrySpec{
			Hostname: "quay.io", Credentials: v1alpha1.RegistryCredentials{SecretRef: v1alpha1.SecretRef{Name: "quay-pull"}},
		},
	}
	for _, each := range edit {
		each(r)
	}
	return r
}

func secret(password string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: "quay-pull", Namespace: namespace},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{".dockerconfigjson": fmt.Appendf(nil, `{"auths":{"quay.io":{"username":"u","password":%q}}}`, password)},
	}
}

// registry returns what stands for quay.io.
func registry(t *testing.T, c *catalog.Catalog) *catalog.Registry {
	t.Helper()
	found, err := c.Registry("quay.io", "app")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFollowsACluster(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		server.Put(quay())
		server.Put(secret("one"))
		r := start(t, server)
		select {
		case <-r.Loaded():
		default:
			t.Fatalf("not loaded:\n%s", r.log)
		}
		c := r.Catalog().Current()
		if !admits("acme")(c) || registry(t, c).Upstream == nil {
			t.Errorf("at first:\n%s", r.log)
		}
		server.Put(acme(func(l *v1alpha1.License) { l.Spec.Revoked = true }))
		settle()
		if found, ok := r.Catalog().Current().Credential("acme"); !ok || !found.License.Revoked || found.License.RevokedAt.IsZero() {
			t.Errorf("revoked, and in force is %+v", found)
		}
		server.Delete("licenses", "acme")
		server.Delete("externalregistries", "quay")
		settle()
		c = r.Catalog().Current()
		if _, ok := c.Credential("acme"); ok || c.Knows("quay.io") {
			t.Error("what is gone is still in force")
		}
	})
}

func TestReadsManyInPages(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		for i := range 600 {
			server.Put(acme(func(l *v1alpha1.License) {
				l.Name = fmt.Sprintf("l%d", i)
				l.Spec.Credentials[0].SHA256 = v1alpha1.Hash(l.Name)
			}))
		}
		r := start(t, server)
		for i := range 600 {
			if id := fmt.Sprintf("l%d", i); !admits(id)(r.Catalog().Current()) {
				t.Fatalf("%s is missing", id)
			}
		}
		lists := 0
		for _, each := range server.Requests() {
			if strings.HasSuffix(each, "GET /apis/imageproxy.apps.tanzu.vmware.com/v1alpha1/namespaces/"+namespace+"/licenses") {
				lists++
			}
		}
		if lists != 3+1 { // and the watch
			t.Errorf("%d requests for licenses", lists)
		}
	})
}

func TestAnOutageLeavesWhatWasRead(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		r := start(t, server)
		server.Fail(func(*http.Request) *metav1.Status {
			return kubetest.Failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if !admits("acme")(r.Catalog().Current()) {
			t.Error("the license is not in force during the outage")
		}
		if n := strings.Count(r.log.String(), "read licenses in namespace "+namespace); n != 1 {
			t.Errorf("the outage is logged %d times:\n%s", n, r.log)
		}
		server.Fail(nil)
		server.Delete("licenses", "acme")
		time.Sleep(time.Minute)
		synctest.Wait()
		if admits("acme")(r.Catalog().Current()) {
			t.Error("the license is in force after the outage, in which it was deleted")
		}
	})
}

func TestACredentialOfARegistry(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(quay())
		r := start(t, server)
		problem := func(want string) {
			t.Helper()
			settle()
			got := registry(t, r.Catalog().Current())
			if got.Upstream != nil || got.Problem == nil || got.Problem.Error() != want {
				t.Errorf("problem %v, want %s", got.Problem, want)
			}
		}
		problem("the Secret quay-pull does not exist in namespace " + namespace + ": create it with kubectl create secret docker-registry")
		wrong := secret("one")
		wrong.Type = corev1.SecretTypeOpaque
		server.Put(wrong)
		problem(`the Secret quay-pull: it is not a registry credential: its type must be kubernetes.io/dockerconfigjson, with the key ".dockerconfigjson": create it with kubectl create secret docker-registry`)
		other := secret("one")
		other.Data[".dockerconfigjson"] = []byte(`{"auths":{"ghcr.io":{"username":"u","password":"p"}}}`)
		server.Put(other)
		problem(`Secret quay-pull has no credential for quay.io: it has some for ["ghcr.io"]`)

		server.Put(secret("one"))
		settle()
		first := registry(t, r.Catalog().Current())
		if first.Upstream == nil || first.Problem != nil {
			t.Fatalf("problem %v", first.Problem)
		}
		server.Put(acme()) // something else
		labelled := secret("one")
		labelled.Labels = map[string]string{"a": "b"}
		server.Put(labelled)
		server.Put(quay(func(q *v1alpha1.ExternalRegistry) { q.Spec.Alias = "q" }))
		settle()
		if again := registry(t, r.Catalog().Current()); again.Upstream != first.Upstream || again.Alias != "q" {
			t.Error("the connections to a registry were given up for nothing")
		}
		server.Put(secret("two"))
		settle()
		second := registry(t, r.Catalog().Current())
		if second.Upstream == nil || second.Upstream == first.Upstream {
			t.Error("a changed credential is not in force")
		}
		server.Delete("secrets", "quay-pull")
		settle()
		if now := registry(t, r.Catalog().Current()); now.Upstream != second.Upstream || !strings.Contains(r.log.String(), `consequence="what was in use before stays in force"`) {
			t.Errorf("the last good credential is not in use:\n%s", r.log)
		}
	})
}

func TestASecretThatTheRoleDoesNotHave(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(quay())
		server.Put(acme())
		server.Fail(func(r *http.Request) *metav1.Status {
			if strings.Contains(r.URL.Path, "/secrets") {
				return kubetest.Failure(http.StatusForbidden, metav1.StatusReasonForbidden)
			}
			return nil
		})
		r := start(t, server)
		want := "read Secret quay-pull in namespace " + namespace + ": the API server forbids it: add it to image_proxy.registry_secrets"
		c := r.Catalog().Current()
		access := &kube.AccessError{}
		if problem := registry(t, c).Problem; problem == nil || problem.Error() != want || !errors.As(problem, &access) {
			t.Errorf("problem %v", problem)
		}
		if !admits("acme")(c) {
			t.Error("the rest is not in force")
		}
	})
}

func TestWaitsForAClusterThatCannotBeRead(t *testing.T) {
	for want, status := range map[string]*metav1.Status{
		"the cluster does not know them: install the package with image_proxy.enabled, which brings their definitions (see kubectl get crd)": kubetest.Failure(http.StatusNotFound, metav1.StatusReasonNotFound),
		"the API server forbids it: bind the Role image-proxy to the ServiceAccount image-proxy":                                             kubetest.Failure(http.StatusForbidden, metav1.StatusReasonForbidden),
	} {
		inCluster(t, func(t *testing.T, server *kubetest.Server) {
			server.Put(acme())
			server.Fail(func(*http.Request) *metav1.Status { return status })
			r := start(t, server)
			select {
			case <-r.Loaded():
				t.Error("loaded")
			default:
			}
			for _, plural := range []string{"licenses", "externalregistries"} {
				if line := "read " + plural + " in namespace " + namespace + ": " + want; strings.Count(r.log.String(), line) != 1 {
					t.Errorf("%q is not said once:\n%s", line, r.log)
				}
			}
			server.Fail(nil)
			<-r.Loaded()
			if !admits("acme")(r.Catalog().Current()) {
				t.Error("loaded, and the license is not in force")
			}
		})
	}
}

// conditions returns those of an object as "type status reason message".
func conditions(all []metav1.Condition) []string {
	var texts []string
	for _, c := range all {
		texts = append(texts, fmt.Sprintf("%s %s %s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	slices.Sort(texts)
	return texts
}
