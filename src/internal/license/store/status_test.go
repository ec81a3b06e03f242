// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/kubetest"
)

const inForce = "Valid True InForce the object is in force"

// status returns the status of a license as it is in the cluster.
func status(server *kubetest.Server, name string) v1alpha1.LicenseStatus {
	var l v1alpha1.License
	server.Get("licenses", name, &l)
	return l.Status
}

// writes returns how often a status was written since the last time.
func writes(server *kubetest.Server) int {
	n := 0
	for _, each := range server.Requests() {
		if strings.HasPrefix(each, http.MethodPut) {
			n++
		}
	}
	return n
}

func wantConditions(t *testing.T, got []metav1.Condition, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, conditions(got)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestPullsAreWrittenAtMostOnceAMinute(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		r := start(t, server)
		time.Sleep(2 * time.Minute)
		writes(server)
		begin := time.Now()
		for range 170 {
			r.Pulled("acme", true, time.Now())
			r.Pulled("acme", false, time.Now().Add(time.Second))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := writes(server); n != 3 {
			t.Errorf("written %d times in three minutes", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n, s := writes(server), status(server, "acme"); n != 1 || s.Pulls != 170 || !s.LastPulled.Time.Equal(begin.Add(170*time.Second).Truncate(time.Second)) {
			t.Errorf("written %d times in an hour without pulls, %d pulls, the last one after %v", n, s.Pulls, s.LastPulled.Sub(begin))
		}
	})
}

func TestPullsAreWrittenAtTheEnd(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		r := start(t, server)
		for range 3 {
			r.Pulled("acme", true, time.Now())
			synctest.Wait() // the first is written at once
		}
		r.stop()
		if s := status(server, "acme"); s.Pulls != 3 {
			t.Errorf("%d pulls", s.Pulls)
		}
	})
}

func TestPullsOfReplicasAddUp(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		replicas := []*replica{start(t, server), start(t, server), start(t, server)}
		for range 10 {
			for _, each := range replicas {
				each.Pulled("acme", true, time.Now())
			}
			time.Sleep(20 * time.Second)
		}
		for _, each := range replicas {
			each.stop()
		}
		if s := status(server, "acme"); s.Pulls != 30 {
			t.Errorf("%d pulls", s.Pulls)
		}
	})
}

// Somebody else writes between the reading and the writing.
func TestAConflictIsReadAgain(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		r := start(t, server)
		time.Sleep(2 * time.Minute)
		times := 2
		server.Intrude(func(request *http.Request) {
			if request.Method == http.MethodPut && times > 0 {
				times--
				var now v1alpha1.License
				server.Get("licenses", "acme", &now)
				now.TypeMeta = acme().TypeMeta
				now.Status.Pulls += 10
				server.PutStatus(now)
			}
		})
		r.Pulled("acme", true, time.Now())
		settle()
		if s := status(server, "acme"); s.Pulls != 21 {
			t.Errorf("%d pulls", s.Pulls)
		}
	})
}

func TestAnOutageLosesNoPull(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		r := start(t, server)
		server.Fail(func(*http.Request) *metav1.Status {
			return kubetest.Failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		})
		for range 10 {
			r.Pulled("acme", true, time.Now())
			time.Sleep(time.Minute)
		}
		server.Fail(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := status(server, "acme"); s.Pulls != 10 {
			t.Errorf("%d pulls", s.Pulls)
		}
		if n := strings.Count(r.log.String(), "status not written"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}
	})
}

func TestALicenseThatIsGoneIsNotWritten(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		r := start(t, server)
		server.Delete("licenses", "acme")
		settle()
		r.Pulled("acme", true, time.Now())
		time.Sleep(time.Hour)
		synctest.Wait()
		if strings.Contains(r.log.String(), "status not written") {
			t.Error(r.log)
		}
	})
}

func TestConditionsFollowTheObject(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		server.Put(quay())
		r := start(t, server)
		wantConditions(t, status(server, "acme").Conditions, inForce)
		var registry v1alpha1.ExternalRegistry
		server.Get("externalregistries", "quay", &registry)
		wantConditions(t, registry.Status.Conditions, "Valid False CredentialUnreadable the Secret quay-pull does not exist in namespace "+namespace+
			": create it with kubectl create secret docker-registry")

		time.Sleep(2 * time.Minute)
		server.Put(secret("one"))
		server.Put(acme(func(l *v1alpha1.License) { l.Spec.ExpiresAt = "2026-02-30T00:00:00Z" }))
		settle()
		wantConditions(t, status(server, "acme").Conditions,
			"Valid False Invalid spec.expiresAt: is not a time of RFC 3339: write it like 2027-01-01T00:00:00Z")
		server.Get("externalregistries", "quay", &registry)
		wantConditions(t, registry.Status.Conditions, inForce)

		time.Sleep(2 * time.Minute)
		revoked := time.Now().Truncate(time.Second)
		server.Put(acme(func(l *v1alpha1.License) { l.Spec.Revoked = true }))
		settle()
		now := status(server, "acme").Conditions
		wantConditions(t, now, "Revoked True Revoked ", inForce)
		for _, c := range now {
			if c.ObservedGeneration != 3 || c.Type == v1alpha1.Revoked && !c.LastTransitionTime.Time.Equal(revoked) {
				t.Errorf("%+v", c)
			}
		}
		// Another replica that starts later has nothing to write, and knows since when.
		writes(server)
		later := start(t, server)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := writes(server); n != 0 {
			t.Errorf("%d writes without a change", n)
		}
		for _, each := range []*replica{r, later} {
			if found, ok := each.Catalog().Current().Credential("acme"); !ok || !found.License.RevokedAt.Equal(revoked) {
				t.Errorf("revoked since %+v", found.License.RevokedAt)
			}
		}
		server.Put(acme())
		settle()
		wantConditions(t, status(server, "acme").Conditions, "Revoked False NotRevoked ", inForce)
	})
}

// A mistake and its repair within a minute: the mistake is written at once, the repair a minute later.
func TestConditionsAreWrittenAtMostOnceAMinute(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		start(t, server)
		time.Sleep(2 * time.Minute)
		writes(server)
		for i := range 20 {
			server.Put(acme(func(l *v1alpha1.License) { l.Spec.CustomerName = fmt.Sprint(i) }))
			settle()
		}
		if n := writes(server); n != 1 {
			t.Errorf("%d writes within a minute", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n, s := writes(server), status(server, "acme"); n != 1 || s.Conditions[0].ObservedGeneration != 21 {
			t.Errorf("%d writes later, %+v", n, s.Conditions)
		}
	})
}

// A trouble that is over within the minute is not written after it, though it waited in line.
func TestAShortTroubleIsNotToldAfterIt(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(quay())
		server.Put(secret("one"))
		start(t, server)
		time.Sleep(10 * time.Second)
		server.Delete("secrets", "quay-pull")
		time.Sleep(10 * time.Second)
		server.Put(secret("one"))
		time.Sleep(time.Hour)
		synctest.Wait()
		var registry v1alpha1.ExternalRegistry
		server.Get("externalregistries", "quay", &registry)
		wantConditions(t, registry.Status.Conditions, inForce)
	})
}

func TestAShortContradictionIsNotToldAfterIt(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		start(t, server)
		time.Sleep(time.Second)
		later := func(id string) *v1alpha1.License {
			return acme(func(l *v1alpha1.License) { l.Name, l.Spec.Credentials[0].SHA256 = "later", v1alpha1.Hash(id) })
		}
		server.Put(later("later"))
		time.Sleep(5 * time.Second)
		server.Put(acme(func(l *v1alpha1.License) { l.Spec.Credentials[0].SHA256 = v1alpha1.Hash("later") }))
		time.Sleep(5 * time.Second)
		server.Put(acme())
		time.Sleep(time.Hour)
		synctest.Wait()
		wantConditions(t, status(server, "acme").Conditions, inForce)
		wantConditions(t, status(server, "later").Conditions, inForce)
	})
}

func TestWritesNothingButStatus(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		server.Put(quay())
		server.Put(secret("one"))
		r := start(t, server)
		r.Pulled("acme", true, time.Now())
		r.stop()
		for _, each := range server.Requests() {
			method, path, _ := strings.Cut(each, " ")
			if method != http.MethodGet && (method != http.MethodPut || !strings.HasSuffix(path, "/status")) {
				t.Errorf("asked for %s", each)
			}
		}
	})
}

func TestConditionsOfOthersStay(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		theirs := metav1.Condition{Type: "Billed", Status: metav1.ConditionTrue, Reason: "Paid", LastTransitionTime: metav1.Now()}
		server.Put(acme(func(l *v1alpha1.License) { l.Status.Conditions = []metav1.Condition{theirs} }))
		start(t, server)
		got := status(server, "acme").Conditions
		if !slices.ContainsFunc(got, func(c metav1.Condition) bool { return c.Type == theirs.Type }) || len(got) != 2 {
			t.Errorf("%+v", got)
		}
	})
}
