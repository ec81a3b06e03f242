// SPDX-License-Identifier: Apache-2.0

package apiservice_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
)

// TestWhatCannotBeKeptIsTold until it can, once each: an alert looks at it.
func TestWhatCannotBeKeptIsTold(t *testing.T) {
	forbidden := apierrors.NewForbidden(corev1.Resource("x"), "x", errors.New("no role"))
	for what, test := range map[string]struct {
		refuse, allow func(*cluster)
		wrong         func(*cluster, *x509.Certificate)
		renewed       bool
	}{
		"the Secret is deleted": {
			refuse: func(c *cluster) { c.secrets.fail("write", forbidden) },
			allow:  func(c *cluster) { c.secrets.fail("", nil) },
			wrong:  func(c *cluster, _ *x509.Certificate) { c.secrets.delete(secret) },
		},
		"the certificate is due": {
			refuse:  func(c *cluster) { c.secrets.fail("write", forbidden) },
			allow:   func(c *cluster) { c.secrets.fail("", nil) },
			wrong:   func(_ *cluster, shown *x509.Certificate) { time.Sleep(time.Until(shown.NotAfter) - 30*24*time.Hour) },
			renewed: true,
		},
		"the APIService is made again": {
			refuse: func(c *cluster) { c.services.fail("patch", forbidden) },
			allow:  func(c *cluster) { c.services.fail("", nil) },
			wrong: func(c *cluster, _ *x509.Certificate) {
				must(c.t)(c.services.put(&kube.APIService{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "another"}}))
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				replica := c.follow()
				shown := c.trusted(replica)
				test.refuse(c)
				test.wrong(c, shown)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if told := c.told.String(); told != "true false " {
					t.Errorf("while it fails: told %q", told)
				}
				if !shown.Equal(served(t, replica)) {
					t.Error("what was in force is not any more")
				}
				test.allow(c)
				time.Sleep(time.Minute)
				if test.renewed == shown.Equal(c.trusted(replica)) {
					t.Errorf("renewed is not %t", test.renewed)
				}
				if told := c.told.String(); told != "true false true " {
					t.Errorf("after it: told %q", told)
				}
			})
		})
	}
}
