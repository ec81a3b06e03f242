// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
)

func keySecret(content, version string) *corev1.Secret {
	s := secret(kube.SessionKeySecret, "", version)
	s.Data = map[string][]byte{kube.KeyField: []byte(content)}
	return s
}

func TestKeysAreTheSameForReplicasThatRace(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.put(t, keySecret("", "1"))
		var changed atomic.Bool // the double takes any version, the API server only the newest
		c.PrependReactor("update", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
			conflict := apierrors.NewConflict(corev1.Resource("secrets"), kube.SessionKeySecret, errors.New("changed"))
			return changed.Swap(true), nil, conflict
		})
		const replicas = 4
		var keys [replicas]string
		var group sync.WaitGroup
		for i := range replicas {
			group.Go(func() {
				key, err := c.client.Keys(t.Context(), kube.SessionKeySecret)
				if err != nil {
					t.Error(err)
				}
				keys[i] = string(key)
			})
		}
		group.Wait()
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(keys[0], "\n"))
		if err != nil || len(raw) != 32 || raw[0] == 0 && raw[15] == 0 && raw[31] == 0 {
			t.Errorf("a key of %d bytes, error %v", len(raw), err)
		}
		for i, key := range keys {
			if key != keys[0] {
				t.Errorf("replica %d has another key", i)
			}
		}
	})
}

func TestKeysDiffer(t *testing.T) {
	var keys []string
	for range 2 {
		inCluster(t, func(t *testing.T, c *cluster) {
			c.put(t, keySecret("", "1"))
			key, err := c.client.Keys(t.Context(), kube.SessionKeySecret)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, string(key))
		})
	}
	if keys[0] == keys[1] {
		t.Error("two clusters have the same key")
	}
}

// TestKeysNeverCreateASecret: with that right a Secret could be filled with the token of another
// ServiceAccount.
func TestKeysNeverCreateASecret(t *testing.T) {
	for name, content := range map[string]string{"absent": "", "empty": "\n", "filled": "theirs"} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				c.PrependReactor("create", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
					t.Error("a Secret was created")
					return true, nil, forbidden()
				})
				if content != "" {
					c.put(t, keySecret(content, "1"))
				}
				if _, err := c.client.Keys(t.Context(), kube.SessionKeySecret); (err != nil) != (content == "") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestKeysMadeByTheOperator(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.put(t, keySecret("theirs", "1"))
		if key, err := c.client.Keys(t.Context(), kube.SessionKeySecret); err != nil || string(key) != "theirs" {
			t.Errorf("key %q, error %v", key, err)
		}
	})
}

// TestKeysFillASecretThatWasMadeEmpty by the package, once for all replicas.
func TestKeysFillASecretThatWasMadeEmpty(t *testing.T) {
	for name, others := range map[string]string{"alone": "", "another replica was first": "theirs"} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				c.put(t, keySecret("", "1"))
				c.PrependReactor("update", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
					update, _ := action.(clienttesting.UpdateAction)
					if sent, _ := update.GetObject().(*corev1.Secret); sent.ResourceVersion != "1" {
						t.Errorf("changed whatever the version is: %q", sent.ResourceVersion)
					}
					if others == "" {
						return false, nil, nil
					}
					if err := c.Tracker().Update(corev1.SchemeGroupVersion.WithResource("secrets"), keySecret(others, "2"), namespace); err != nil {
						t.Error(err)
					}
					return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), kube.SessionKeySecret, errors.New("changed"))
				})
				first, err := c.client.Keys(t.Context(), kube.SessionKeySecret)
				if err != nil || len(first) == 0 || others != "" && string(first) != others {
					t.Fatalf("key %q, error %v", first, err)
				}
				if again, err := c.client.Keys(t.Context(), kube.SessionKeySecret); err != nil || string(again) != string(first) {
					t.Errorf("the next replica has another key, error %v", err)
				}
			})
		})
	}
}

func TestEachSecretHasKeysOfItsOwn(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		seen := map[string]string{}
		for _, name := range []string{kube.SessionKeySecret, kube.TokenKeySecret} {
			c.put(t, secret(name, "", "1"))
		}
		for range 2 {
			for _, name := range []string{kube.SessionKeySecret, kube.TokenKeySecret} {
				key, err := c.client.Keys(t.Context(), name)
				if err != nil || seen[name] != "" && seen[name] != string(key) {
					t.Errorf("%s: another key, or error %v", name, err)
				}
				seen[name] = string(key)
			}
		}
		if seen[kube.SessionKeySecret] == seen[kube.TokenKeySecret] {
			t.Error("both Secrets have the same key")
		}
	})
}

func TestKeysErrors(t *testing.T) {
	const secretIn = " Secret " + kube.SessionKeySecret + " in namespace " + namespace + ": "
	fail := func(verb string, err error) func(*testing.T, *cluster) {
		return func(_ *testing.T, c *cluster) {
			c.PrependReactor(verb, "secrets", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
		}
	}
	for name, c := range map[string]struct {
		arrange func(*testing.T, *cluster)
		want    string
	}{
		"forbidden": {fail("get", forbidden()), "read" + secretIn +
			"the API server forbids it: bind the Role local-source-proxy-manager to the ServiceAccount proxy-manager"},
		"token":  {fail("get", apierrors.NewUnauthorized("x")), "read" + secretIn + "the API server does not accept the token of the pod: restart the pod"},
		"down":   {fail("get", errors.New("connection refused")), "read" + secretIn + "connection refused"},
		"absent": {func(*testing.T, *cluster) {}, "read" + secretIn + "it does not exist: reconcile the package, which makes it empty"},
		"empty": {func(t *testing.T, c *cluster) {
			c.put(t, keySecret("\n", "1"))
			fail("update", forbidden())(t, c)
		}, "read" + secretIn + `it has no "keys": put one base64 key of 32 bytes a line there, or let the ServiceAccount update it`},
		"never settles": {func(t *testing.T, c *cluster) {
			c.put(t, keySecret("", "1"))
			fail("update", apierrors.NewConflict(corev1.Resource("secrets"), kube.SessionKeySecret, errors.New("changed")))(t, c)
		}, "read" + secretIn + `Operation cannot be fulfilled on secrets "` + kube.SessionKeySecret + `": changed`},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, cl *cluster) {
				c.arrange(t, cl)
				_, err := cl.client.Keys(t.Context(), kube.SessionKeySecret)
				var access *kube.AccessError
				if !errors.As(err, &access) || access.Name != kube.SessionKeySecret || err.Error() != c.want {
					t.Errorf("error\n%v\nwant\n%s", err, c.want)
				}
			})
		})
	}
}

func TestWatchKeysRotates(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.put(t, keySecret("old", "1"))
		var got []string
		go c.client.WatchKeys(ctx, kube.SessionKeySecret, func(keys []byte) { got = append(got, string(keys)) })
		synctest.Wait()
		c.send(watch.Modified, keySecret("new\nold", "2"))
		c.send(watch.Modified, keySecret("", "3"))
		c.send(watch.Deleted, keySecret("", "4"))
		c.send(watch.Added, keySecret("newest", "5"))
		if diff := cmp.Diff([]string{"old", "new\nold", "newest"}, got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		for _, part := range []string{"it has no", "it was deleted"} {
			if strings.Count(c.log.String(), part) != 1 {
				t.Errorf("%q is not logged once:\n%s", part, c.log.String())
			}
		}
	})
}
