// SPDX-License-Identifier: Apache-2.0

package apiservice_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/local-source-proxy/local-source-proxy/src/internal/apiservice"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

// named is a pointer to an object with a name.
type named[T any] interface {
	*T
	runtime.Object
	metav1.Object
}

// objects are those of one kind that a stand-in of the API server has: with versions, conflicts and watches.
type objects[T any, PT named[T]] struct {
	mu       sync.Mutex
	version  int
	items    map[string]PT
	watchers []*watch.RaceFreeFakeWatcher
	// refuse makes calls fail, by verb.
	refuse map[string]error
	writes int
}

func (o *objects[T, PT]) resource() schema.GroupResource {
	return schema.GroupResource{Resource: fmt.Sprintf("%T", *new(T))}
}

func (o *objects[T, PT]) list() (items []T, meta metav1.ListMeta, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, each := range o.items {
		items = append(items, *each)
	}
	return items, metav1.ListMeta{ResourceVersion: strconv.Itoa(o.version)}, o.refuse["list"]
}

// Watch begins with what has changed since the version that the caller knows.
func (o *objects[T, PT]) Watch(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.refuse["list"]; err != nil {
		return nil, err
	}
	w := watch.NewRaceFreeFake()
	if since, _ := strconv.Atoi(options.ResourceVersion); since < o.version {
		for _, each := range o.items {
			w.Add(each)
		}
	}
	o.watchers = append(o.watchers, w)
	return w, nil
}

func (o *objects[T, PT]) get(name string) (PT, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if found := o.items[name]; found != nil {
		return found, nil
	}
	return nil, apierrors.NewNotFound(o.resource(), name)
}

// put stores an object of a caller, unless it has another version than the stored one.
func (o *objects[T, PT]) put(object PT) (PT, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.refuse["write"]; err != nil {
		return nil, err
	}
	before := o.items[object.GetName()]
	if before != nil && object.GetResourceVersion() != "" && before.GetResourceVersion() != object.GetResourceVersion() {
		return nil, apierrors.NewConflict(o.resource(), object.GetName(), fmt.Errorf("another version"))
	}
	o.version++
	o.writes++
	object = object.DeepCopyObject().(PT)
	object.SetResourceVersion(strconv.Itoa(o.version))
	if o.items == nil {
		o.items = map[string]PT{}
	}
	o.items[object.GetName()] = object
	event := watch.Added
	if before != nil {
		event = watch.Modified
	}
	for _, w := range o.watchers {
		w.Action(event, object)
	}
	return object, nil
}

func (o *objects[T, PT]) delete(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	gone := o.items[name]
	delete(o.items, name)
	o.version++
	for _, w := range o.watchers {
		w.Delete(gone)
	}
}

func (o *objects[T, PT]) fail(verb string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuse = map[string]error{verb: err}
}

func (o *objects[T, PT]) refused(verb string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refuse[verb]
}

func (o *objects[T, PT]) written() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writes
}

type secrets struct {
	objects[corev1.Secret, *corev1.Secret]
}

func (s *secrets) List(context.Context, metav1.ListOptions) (*corev1.SecretList, error) {
	items, meta, err := s.list()
	return &corev1.SecretList{ListMeta: meta, Items: items}, err
}

func (s *secrets) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Secret, error) {
	return s.get(name)
}

func (s *secrets) Update(_ context.Context, secret *corev1.Secret, _ metav1.UpdateOptions) (*corev1.Secret, error) {
	if _, err := s.get(secret.Name); err != nil {
		return nil, err
	}
	return s.put(secret)
}

// Patch is a server-side apply, which makes what there is not.
func (s *secrets) Patch(_ context.Context, name string, kind types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (*corev1.Secret, error) {
	var secret corev1.Secret
	if err := json.Unmarshal(data, &secret); err != nil || kind != types.ApplyPatchType || secret.Name != name || secret.Kind != "Secret" || secret.APIVersion != "v1" {
		return nil, fmt.Errorf("%s of %s: %w", kind, data, err)
	}
	return s.put(&secret)
}

type configMaps struct {
	objects[corev1.ConfigMap, *corev1.ConfigMap]
}

func (c *configMaps) List(context.Context, metav1.ListOptions) (*corev1.ConfigMapList, error) {
	items, meta, err := c.list()
	return &corev1.ConfigMapList{ListMeta: meta, Items: items}, err
}

type apiServices struct {
	objects[kube.APIService, *kube.APIService]
}

func (a *apiServices) List(context.Context, metav1.ListOptions) (*kube.APIServiceList, error) {
	items, meta, err := a.list()
	return &kube.APIServiceList{ListMeta: meta, Items: items}, err
}

func (a *apiServices) Patch(_ context.Context, name string, _ types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (*kube.APIService, error) {
	found, err := a.get(name)
	if err == nil {
		err = a.refused("patch")
	}
	if err != nil {
		return nil, err
	}
	changed := found.DeepCopyObject().(*kube.APIService)
	if err := json.Unmarshal(data, changed); err != nil {
		return nil, err
	}
	return a.put(changed)
}

// cluster is what a server finds, with the objects that the package makes.
type cluster struct {
	t        *testing.T
	secrets  secrets
	maps     configMaps
	services apiServices
	log      proxytest.Log
	// told is what the replicas have said of the certificate.
	told proxytest.Log
}

func (c *cluster) reloaded(what string, applied bool) {
	if what == apiservice.Certificate {
		fmt.Fprintf(&c.told, "%t ", applied)
	}
}

func (c *cluster) client() *kube.Client {
	return &kube.Client{
		Namespace: "here", Secrets: &c.secrets, ConfigMaps: &c.maps, APIServices: &c.services,
		Binding: kube.Binding{Role: "manager", Account: "account"}, Log: slog.New(slog.NewTextHandler(&c.log, nil)),
	}
}

// must is a change by somebody with every right.
func must(t *testing.T) func(any, error) {
	t.Helper()
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}
