// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/kubetest"
)

// What was deleted and made again during an outage is another object: nothing of the first one counts for it.
func TestAnObjectMadeAgainIsAnother(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme(func(l *v1alpha1.License) { l.Spec.Revoked = true }))
		server.Put(acme(func(l *v1alpha1.License) { l.Name, l.Spec.Credentials[0].SHA256 = "other", v1alpha1.Hash("other") }))
		server.Put(quay())
		server.Put(secret("one"))
		r := start(t, server)
		first := registry(t, r.Catalog().Current()).Upstream
		server.Fail(func(*http.Request) *metav1.Status {
			return kubetest.Failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		})
		time.Sleep(time.Hour)
		server.Delete("licenses", "acme")
		server.Delete("licenses", "other")
		server.Delete("externalregistries", "quay")
		again := time.Now().Truncate(time.Second) // which is what a license keeps
		server.Put(acme(func(l *v1alpha1.License) { l.Spec.Revoked = true }))
		server.Put(acme(func(l *v1alpha1.License) { l.Name, l.Spec.ExpiresAt = "other", "2027-02-30T00:00:00Z" }))
		server.Put(quay())
		server.Fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		c := r.Catalog().Current()
		if admits("other")(c) {
			t.Error("a license that was deleted is in force")
		}
		if found, ok := c.Credential("acme"); !ok || found.License.RevokedAt.Before(again) {
			t.Error("a license is revoked since one was that was deleted")
		}
		if now := registry(t, c).Upstream; now == nil || now == first {
			t.Error("a registry has the connections of one that was deleted")
		}
		if log := r.log.String(); !strings.Contains(log, `consequence="nothing of it is in force"`) {
			t.Errorf("what is in force is not said:\n%s", log)
		}
	})
}
