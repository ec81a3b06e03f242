// SPDX-License-Identifier: Apache-2.0

package apiservice_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/local-source-proxy/local-source-proxy/src/internal/apiservice"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

const (
	name   = "v1.example.com"
	secret = "certificate"
	host   = "api.here.svc"
)

// installed is a cluster with what the package brings, and with an aggregation layer.
func installed(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	must(t)(c.secrets.put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret, Namespace: "here", UID: "made-by-the-package"}}))
	must(t)(c.services.put(&kube.APIService{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "service"}}))
	c.rotate(proxytest.NewAuthority(t))
	return c
}

// rotate has the API server show itself by another authority's certificate.
func (c *cluster) rotate(authority *proxytest.Authority) {
	c.t.Helper()
	must(c.t)(c.maps.put(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: kube.AuthenticationConfigMap}, Data: authority.Data(),
	}))
}

func (c *cluster) config() apiservice.Config {
	return apiservice.Config{
		Cluster: c.client(), Name: name, Secret: secret, Host: host,
		Reloaded: c.reloaded, Log: slog.New(slog.NewTextHandler(&c.log, nil)),
	}
}

// follow starts a replica, which ends with the test.
func (c *cluster) follow() *apiservice.Follower {
	c.t.Helper()
	f, err := apiservice.Follow(c.t.Context(), c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(f.Close)
	synctest.Wait()
	return f
}

// served is the certificate that a replica shows.
func served(t *testing.T, f *apiservice.Follower) *x509.Certificate {
	t.Helper()
	pair, err := f.TLS().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// trusted checks that the API server accepts what the replicas show, and that they show the same.
func (c *cluster) trusted(replicas ...*apiservice.Follower) *x509.Certificate {
	c.t.Helper()
	synctest.Wait()
	service, err := c.services.get(name)
	if err != nil {
		c.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(service.Spec.CABundle)
	shown := served(c.t, replicas[0])
	for _, each := range replicas {
		cert := served(c.t, each)
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: time.Now()}); err != nil {
			c.t.Errorf("the API server does not trust the replica: %v", err)
		}
		if !cert.Equal(shown) {
			c.t.Error("replicas show different certificates")
		}
	}
	stored, err := c.secrets.get(secret)
	if err != nil {
		c.t.Fatal(err)
	}
	if pair, err := tls.X509KeyPair(stored.Data["tls.crt"], stored.Data["tls.key"]); err != nil || !pair.Leaf.Equal(shown) {
		c.t.Errorf("the Secret has another certificate than the replicas: %v", err)
	}
	return shown
}

// inCluster runs a test in a bubble, in which time costs nothing.
func inCluster(t *testing.T, test func(*testing.T, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, installed(t)) })
}

// TestTheFirstReplicaMakesTheCertificate, the others read it, and nobody writes more than once.
func TestTheFirstReplicaMakesTheCertificate(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		first := c.follow()
		shown := c.trusted(first)
		if !shown.Equal(c.trusted(first, c.follow(), c.follow())) {
			t.Error("a later replica made another certificate")
		}
		if shown.KeyUsage != x509.KeyUsageDigitalSignature || shown.IsCA {
			t.Errorf("the certificate can do more than serve: %v", shown.KeyUsage)
		}
		if n := c.secrets.written() + c.services.written(); n != 4 { // two of them by the package
			t.Errorf("%d writes", n)
		}
		stored, err := c.secrets.get(secret)
		if err != nil || stored.UID != "made-by-the-package" {
			t.Errorf("the package's Secret was replaced: %v", err)
		}
	})
}

// TestReplicasThatStartTogether agree on one certificate.
func TestReplicasThatStartTogether(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		started := make(chan *apiservice.Follower, 3)
		for range cap(started) {
			go func() {
				f, err := apiservice.Follow(t.Context(), c.config())
				if err != nil {
					t.Error(err)
				}
				started <- f
			}()
		}
		var all []*apiservice.Follower
		for range cap(started) {
			f := <-started
			c.t.Cleanup(f.Close)
			all = append(all, f)
		}
		time.Sleep(time.Minute)
		c.trusted(all...)
	})
}

// TestWhatIsTakenAwayComesBack within seconds, by whichever replica, and what was in force stays so.
func TestWhatIsTakenAwayComesBack(t *testing.T) {
	for what, take := range map[string]func(c *cluster, stored *corev1.Secret){
		"the Secret is deleted": func(c *cluster, _ *corev1.Secret) { c.secrets.delete(secret) },
		"the Secret is emptied": func(c *cluster, stored *corev1.Secret) {
			stored.Data = nil
			must(c.t)(c.secrets.put(stored))
		},
		"the key is another": func(c *cluster, stored *corev1.Secret) {
			stored.Data["tls.key"] = stored.Data["ca.key"]
			must(c.t)(c.secrets.put(stored))
		},
		"the authority's key is gone": func(c *cluster, stored *corev1.Secret) {
			delete(stored.Data, "ca.key")
			must(c.t)(c.secrets.put(stored))
		},
		"rubbish": func(c *cluster, stored *corev1.Secret) {
			stored.Data["tls.crt"] = []byte("x")
			must(c.t)(c.secrets.put(stored))
		},
		"the caBundle is emptied": func(c *cluster, _ *corev1.Secret) {
			must(c.t)(c.services.put(&kube.APIService{ObjectMeta: metav1.ObjectMeta{Name: name}}))
		},
		"the caBundle is a stranger's": func(c *cluster, _ *corev1.Secret) {
			must(c.t)(c.services.put(&kube.APIService{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: kube.APIServiceSpec{CABundle: []byte("x")}}))
		},
		"the APIService is deleted and made again": func(c *cluster, _ *corev1.Secret) {
			c.services.delete(name)
			synctest.Wait()
			must(c.t)(c.services.put(&kube.APIService{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "another"}}))
		},
		"the API server refuses to write for a minute": func(c *cluster, _ *corev1.Secret) {
			c.secrets.fail("write", apierrors.NewInternalError(errors.New("etcd")))
			c.secrets.delete(secret)
			time.Sleep(time.Minute)
			c.secrets.fail("", nil)
			time.Sleep(30 * time.Second)
		},
	} {
		t.Run(what, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				replicas := []*apiservice.Follower{c.follow(), c.follow()}
				before := c.trusted(replicas...)
				stored, err := c.secrets.get(secret)
				if err != nil {
					t.Fatal(err)
				}
				take(c, stored.DeepCopy())
				synctest.Wait()
				time.Sleep(2 * time.Second)
				if !before.Equal(c.trusted(replicas...)) {
					t.Error("there is another certificate now")
				}
				if late := c.follow(); !before.Equal(c.trusted(late)) {
					t.Error("a new replica has another certificate")
				}
			})
		})
	}
}

// TestARestoredSecretGoesWithTheAPIService, because the package does not know it.
func TestARestoredSecretGoesWithTheAPIService(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.follow()
		c.secrets.delete(secret)
		synctest.Wait()
		restored, err := c.secrets.get(secret)
		if err != nil {
			t.Fatal(err)
		}
		want := metav1.OwnerReference{APIVersion: "apiregistration.k8s.io/v1", Kind: "APIService", Name: name, UID: types.UID("service")}
		if len(restored.OwnerReferences) != 1 || restored.OwnerReferences[0] != want || restored.Type != corev1.SecretTypeOpaque {
			t.Errorf("restored as %+v of type %s", restored.OwnerReferences, restored.Type)
		}
	})
}

// TestRenewal comes a month ahead, under the same authority; a new authority is trusted beside the old one.
func TestRenewal(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		replicas := []*apiservice.Follower{c.follow(), c.follow()}
		first := c.trusted(replicas...)
		service, err := c.services.get(name)
		if err != nil {
			t.Fatal(err)
		}
		bundle := service.Spec.CABundle
		time.Sleep(time.Until(first.NotAfter) - 31*24*time.Hour)
		if !first.Equal(c.trusted(replicas...)) {
			t.Error("renewed too early")
		}
		time.Sleep(2 * 24 * time.Hour)
		second := c.trusted(replicas...)
		service, err = c.services.get(name)
		if err != nil {
			t.Fatal(err)
		}
		if first.Equal(second) || !bytes.Equal(bundle, service.Spec.CABundle) {
			t.Error("not renewed, or by another authority")
		}
		for end := time.Now().Add(7 * 365 * 24 * time.Hour); time.Now().Before(end); {
			time.Sleep(24 * time.Hour)
		}
		last := c.trusted(replicas...)
		service, err = c.services.get(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(service.Spec.CABundle, []byte("BEGIN CERTIFICATE")) != 2 || !bytes.HasSuffix(service.Spec.CABundle, bundle) {
			t.Errorf("the authority before is not trusted any more, or there is no new one: %s", service.Spec.CABundle)
		}
		if last.Equal(second) {
			t.Error("not renewed in years")
		}
	})
}

// TestTheFrontProxyIsRotated: the next request is judged by the new authority. What cannot be used changes nothing.
func TestTheFrontProxyIsRotated(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		f := c.follow()
		before := f.Front()
		c.rotate(proxytest.NewAuthority(t))
		synctest.Wait()
		after := f.Front()
		if after == before {
			t.Fatal("the old authority is still in force")
		}
		broken := proxytest.NewAuthority(t).Data()
		maps.DeleteFunc(broken, func(key, _ string) bool { return key == "requestheader-username-headers" })
		must(t)(c.maps.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: kube.AuthenticationConfigMap}, Data: broken}))
		synctest.Wait()
		c.maps.delete(kube.AuthenticationConfigMap)
		synctest.Wait()
		if f.Front() != after {
			t.Error("what cannot be used is in force")
		}
		if said := c.log.String(); strings.Count(said, "the last good one stays in use") != 2 {
			t.Errorf("the log says %s", said)
		}
	})
}

// TestWhatKeepsItFromStarting is one line with the remedy.
func TestWhatKeepsItFromStarting(t *testing.T) {
	forbidden := apierrors.NewForbidden(corev1.Resource("x"), "x", errors.New("no\nrole"))
	for want, breakIt := range map[string]func(c *cluster){
		"read Secret certificate in namespace here: the API server forbids it: bind the Role manager to the ServiceAccount account":  func(c *cluster) { c.secrets.fail("list", forbidden) },
		"write Secret certificate in namespace here: the API server forbids it: bind the Role manager to the ServiceAccount account": func(c *cluster) { c.secrets.fail("write", forbidden) },
		"read ConfigMap extension-apiserver-authentication in namespace kube-system: the API server forbids it: bind the Role extension-apiserver-authentication-reader in kube-system to the ServiceAccount account": func(c *cluster) {
			c.maps.fail("list", forbidden)
		},
		"ConfigMap extension-apiserver-authentication in namespace kube-system does not exist: the API server makes it": func(c *cluster) { c.maps.delete(kube.AuthenticationConfigMap) },
		`ConfigMap extension-apiserver-authentication in namespace kube-system: "requestheader-client-ca-file" has no certificate: the API server's aggregation layer is not set up (--requestheader-client-ca-file)`: func(c *cluster) {
			must(c.t)(c.maps.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: kube.AuthenticationConfigMap}}))
		},
	} {
		inCluster(t, func(t *testing.T, c *cluster) {
			breakIt(c)
			if _, err := apiservice.Follow(t.Context(), c.config()); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
