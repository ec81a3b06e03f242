// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
)

const namespace = "tap-local-source-system"

// cluster is a fake API server, one client of it, and what a watch of Secret "push" delivered, in words.
type cluster struct {
	*fake.Clientset
	client *kube.Client
	log    bytes.Buffer

	mu        sync.Mutex
	delivered []string
	watcher   *watch.RaceFreeFakeWatcher // the newest
}

// inCluster runs test in a synctest bubble, in which back-off takes no time.
func inCluster(t *testing.T, test func(*testing.T, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		binding := kube.Binding{Role: "local-source-proxy-manager", Account: "proxy-manager"}
		c := &cluster{Clientset: fake.NewSimpleClientset()}
		c.client = &kube.Client{Namespace: namespace, Secrets: c.CoreV1().Secrets(namespace), Binding: binding, Log: slog.New(slog.NewTextHandler(&c.log, nil))}
		c.PrependWatchReactor("secrets", func(action clienttesting.Action) (bool, watch.Interface, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.watcher = watch.NewRaceFreeFake()
			return true, c.watcher, nil
		})
		test(t, c)
	})
}

func (c *cluster) watch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.client.Watch(ctx, "push", func(secret *kube.Secret, err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			switch {
			case err != nil:
				c.delivered = append(c.delivered, err.Error())
			case secret == nil:
				c.delivered = append(c.delivered, "none")
			default:
				c.delivered = append(c.delivered, secret.Type+" "+string(secret.Data["k"]))
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	synctest.Wait()
}

// send makes the newest watch say something.
func (c *cluster) send(event watch.EventType, object runtime.Object) {
	c.mu.Lock()
	watcher := c.watcher
	c.mu.Unlock()
	watcher.Action(event, object)
	synctest.Wait()
}

func (c *cluster) expect(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff(want, c.delivered); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
	c.delivered = nil
}

// put stores a Secret without telling the watches, as happens while one is broken.
func (c *cluster) put(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	if err := c.Tracker().Add(secret); err != nil {
		t.Fatal(err)
	}
}

func secret(name, content, version string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, ResourceVersion: version},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{"k": []byte(content)},
	}
}

func forbidden() error {
	return apierrors.NewForbidden(corev1.Resource("secrets"), "push", errors.New("no\nrole"))
}

const typed = "kubernetes.io/dockerconfigjson "

func TestWatchDeliversChanges(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.watch(t)
		c.expect(t, "none")
		c.send(watch.Added, secret("push", "1", "2"))
		c.send(watch.Modified, secret("push", "2", "3"))
		c.expect(t, typed+"1", typed+"2")
		c.send(watch.Added, secret("other", "x", "4"))
		c.send(watch.Deleted, secret("other", "x", "5"))
		c.expect(t)
		c.send(watch.Deleted, secret("push", "2", "6"))
		c.send(watch.Added, secret("push", "3", "7"))
		c.expect(t, "none", typed+"3")
	})
}

func TestWatchAsksForOneNameOnly(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.put(t, secret("push", "1", "2"))
		c.watch(t)
		c.expect(t, typed+"1")
		var asked []string
		for _, action := range c.Actions() {
			selector := ""
			switch action := action.(type) {
			case clienttesting.ListAction:
				selector = action.GetListRestrictions().Fields.String()
			case clienttesting.WatchAction:
				selector = action.GetWatchRestrictions().Fields.String()
			}
			asked = append(asked, action.GetNamespace()+" "+action.GetVerb()+" "+selector)
		}
		want := []string{namespace + " list metadata.name=push", namespace + " watch metadata.name=push"}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

func TestWatchResumes(t *testing.T) {
	for name, breakIt := range map[string]func(*cluster){
		"closed": func(c *cluster) { c.watcher.Stop() },
		"expired": func(c *cluster) {
			c.send(watch.Error, &apierrors.NewResourceExpired("too old").ErrStatus)
		},
		"error": func(c *cluster) {
			c.send(watch.Error, &apierrors.NewInternalError(errors.New("etcd")).ErrStatus)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				c.watch(t)
				broken := c.watcher
				breakIt(c)
				time.Sleep(time.Minute)
				synctest.Wait()
				if c.watcher == broken {
					t.Fatal("the watch did not come back")
				}
				c.mu.Lock()
				c.delivered = nil
				c.mu.Unlock()
				c.send(watch.Added, secret("push", "1", "9"))
				c.expect(t, typed+"1")
			})
		})
	}
}

func TestWatchTellsOfRefusalAndRecovers(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		var allowed bool
		c.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return !allowed, nil, forbidden()
		})
		c.put(t, secret("push", "1", "2"))
		c.watch(t)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		c.expect(t, "read Secret push in namespace "+namespace+
			": the API server forbids it: bind the Role local-source-proxy-manager to the ServiceAccount proxy-manager")
		c.mu.Lock()
		allowed = true
		c.mu.Unlock()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		c.expect(t, typed+"1")
	})
}

func TestWatchTellsWhenNothingWasEverRead(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("dial tcp: connection refused")
		})
		c.watch(t)
		c.expect(t, "read Secret push in namespace "+namespace+": dial tcp: connection refused")
	})
}

func TestWatchOnlyLogsALaterOutage(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.watch(t)
		c.expect(t, "none")
		c.PrependWatchReactor("secrets", func(clienttesting.Action) (bool, watch.Interface, error) {
			return true, nil, errors.New("dial tcp: connection refused")
		})
		c.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("dial tcp: connection refused")
		})
		c.watcher.Stop()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		c.expect(t)
		if lines := strings.Count(c.log.String(), "connection refused"); lines != 1 {
			t.Errorf("%d log lines, want 1:\n%s", lines, c.log.String())
		}
	})
}
