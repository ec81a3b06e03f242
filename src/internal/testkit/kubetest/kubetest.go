// SPDX-License-Identifier: Apache-2.0

package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Server is the double. All methods may be called at the same time.
type Server struct {
	t *testing.T

	mu       sync.Mutex
	version  int
	objects  map[string]map[string]*unstructured.Unstructured // by plural and name
	watches  map[*stream]string                               // their plural
	events   []event                                          // all that there were
	requests []string
	fail     func(*http.Request) *metav1.Status
	intrude  func(*http.Request)
}

// event is a change of an object.
type event struct {
	version      int
	plural, name string
	text         []byte
}

// New makes an empty server.
func New(t *testing.T) *Server {
	return &Server{t: t, version: 1, objects: map[string]map[string]*unstructured.Unstructured{},
		watches: map[*stream]string{}}
}

// Config is how a client reaches the server.
func (s *Server) Config() *rest.Config { return &rest.Config{Host: "http://apiserver", Transport: s} }

// Put creates an object, or replaces all of it but its status. It is anything that has the form of one.
func (s *Server) Put(object any) {
	s.t.Helper()
	o := s.content(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := plural(o.GetKind())
	if before, known := s.objects[kind][o.GetName()]; known {
		o.Object["status"] = before.Object["status"]
	}
	s.put(kind, o)
}

// PutStatus replaces the status of an object.
func (s *Server) PutStatus(object any) {
	s.t.Helper()
	o := s.content(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := plural(o.GetKind())
	changed := s.objects[kind][o.GetName()].DeepCopy()
	changed.Object["status"] = o.Object["status"]
	s.put(kind, changed)
}

func (s *Server) content(object any) *unstructured.Unstructured {
	s.t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		s.t.Fatal(err)
	}
	var content unstructured.Unstructured
	if err := json.Unmarshal(text, &content.Object); err != nil {
		s.t.Fatal(err)
	}
	return &content
}

// put stores an object as the API server does. The lock is held.
func (s *Server) put(kind string, o *unstructured.Unstructured) {
	if s.objects[kind] == nil {
		s.objects[kind] = map[string]*unstructured.Unstructured{}
	}
	event := "MODIFIED"
	if before, known := s.objects[kind][o.GetName()]; !known {
		event = "ADDED"
		o.SetGeneration(1)
		o.SetUID(types.UID(fmt.Sprintf("uid-%d", s.version)))
		if o.GetCreationTimestamp().Time.IsZero() {
			o.SetCreationTimestamp(metav1.NewTime(time.Now()))
		}
	} else {
		o.SetUID(before.GetUID())
		o.SetCreationTimestamp(before.GetCreationTimestamp())
		o.SetGeneration(before.GetGeneration())
		if fmt.Sprint(before.Object["spec"]) != fmt.Sprint(o.Object["spec"]) {
			o.SetGeneration(before.GetGeneration() + 1)
		}
	}
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	s.objects[kind][o.GetName()] = o
	s.tell(kind, event, o)
}

// Delete removes an object.
func (s *Server) Delete(plural, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[plural][name].DeepCopy()
	delete(s.objects[plural], name)
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	s.tell(plural, "DELETED", o)
}

// Get reads an object.
func (s *Server) Get(plural, name string, into any) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.Marshal(s.objects[plural][name])
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Fail answers with a status where the function returns one; nil ends that. Watches end.
func (s *Server) Fail(fail func(*http.Request) *metav1.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
	for each := range s.watches {
		each.end()
		delete(s.watches, each)
	}
}

// Intrude calls a function before each request is answered, as somebody who is faster.
func (s *Server) Intrude(intrude func(*http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intrude = intrude
}

// Requests returns what was asked since the last call, as "METHOD path".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

// tell sends an event to those who watch. The lock is held.
func (s *Server) tell(plural, kind string, o *unstructured.Unstructured) {
	e := event{s.version, plural, o.GetName(), encode(s.t, map[string]any{"type": kind, "object": o.Object})}
	s.events = append(s.events, e)
	for each, of := range s.watches {
		if of == plural && each.wants(e.name) {
			each.send(e.text)
		}
	}
}

// watch begins to tell of what has happened since a version.
func (s *Server) watch(plural, since string, body *stream) *http.Response {
	s.watches[body] = plural
	version, _ := strconv.Atoi(since)
	for _, e := range s.events {
		if e.version > version && e.plural == plural && body.wants(e.name) {
			body.send(e.text)
		}
	}
	return response(http.StatusOK, body)
}

// RoundTrip implements [http.RoundTripper].
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	intrude := s.intrude
	s.mu.Unlock()
	if intrude != nil {
		intrude(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if status := s.fail(r); status != nil {
			return s.answer(int(status.Code), status), nil
		}
	}
	_, path, _ := strings.Cut(r.URL.Path, "/namespaces/")
	parts := strings.Split(path, "/")[1:]
	query := r.URL.Query()
	switch {
	case len(parts) == 1 && r.Method == http.MethodPost:
		return s.create(parts[0], r), nil
	case len(parts) == 1 && query.Get("watch") != "":
		return s.watch(parts[0], query.Get("resourceVersion"),
			newStream(r, strings.TrimPrefix(query.Get("fieldSelector"), "metadata.name="))), nil
	case len(parts) == 1:
		return s.list(parts[0], strings.TrimPrefix(query.Get("fieldSelector"), "metadata.name="),
			query.Get("limit"), query.Get("continue")), nil
	case s.objects[parts[0]][parts[1]] == nil:
		return s.answer(http.StatusNotFound, failure(http.StatusNotFound, metav1.StatusReasonNotFound)), nil
	case len(parts) == 3 && parts[2] == "status" && r.Method == http.MethodPut:
		return s.update(parts[0], r), nil
	default:
		return s.answer(http.StatusOK, s.objects[parts[0]][parts[1]].Object), nil
	}
}

func (s *Server) create(plural string, r *http.Request) *http.Response {
	var sent unstructured.Unstructured
	s.decode(r, &sent)
	if s.objects[plural][sent.GetName()] != nil {
		return s.answer(http.StatusConflict, failure(http.StatusConflict, metav1.StatusReasonAlreadyExists))
	}
	s.put(plural, &sent)
	return s.answer(http.StatusCreated, sent.Object)
}

// update takes the status alone, of the version that is there alone.
func (s *Server) update(plural string, r *http.Request) *http.Response {
	var sent unstructured.Unstructured
	s.decode(r, &sent)
	now := s.objects[plural][sent.GetName()]
	if sent.GetResourceVersion() != now.GetResourceVersion() {
		return s.answer(http.StatusConflict, failure(http.StatusConflict, metav1.StatusReasonConflict))
	}
	changed := now.DeepCopy()
	changed.Object["status"] = sent.Object["status"]
	s.put(plural, changed)
	return s.answer(http.StatusOK, changed.Object)
}

func (s *Server) list(plural, name, limit, from string) *http.Response {
	names := slices.Sorted(maps.Keys(s.objects[plural]))
	items := []any{}
	about := map[string]any{"resourceVersion": strconv.Itoa(s.version)}
	most, _ := strconv.Atoi(limit)
	for _, each := range names {
		if name != "" && each != name || each <= from {
			continue
		}
		if most > 0 && len(items) == most {
			last := items[most-1].(map[string]any)
			about["continue"] = last["metadata"].(map[string]any)["name"]
			break
		}
		items = append(items, s.objects[plural][each].Object)
	}
	return s.answer(http.StatusOK, map[string]any{"kind": kind(plural) + "List", "apiVersion": apiVersion(plural), "metadata": about, "items": items})
}

func (s *Server) decode(r *http.Request, into *unstructured.Unstructured) {
	if err := json.NewDecoder(r.Body).Decode(&into.Object); err != nil {
		s.t.Error(err)
	}
}

func (s *Server) answer(status int, body any) *http.Response {
	return response(status, io.NopCloser(bytes.NewReader(encode(s.t, body))))
}

func response(status int, body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
	}
}

// Failure makes the answer of an API server that says no.
func Failure(code int32, reason metav1.StatusReason) *metav1.Status { return failure(code, reason) }

func failure(code int32, reason metav1.StatusReason) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: string(reason)}
}

func encode(t *testing.T, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return text
}

func plural(kind string) string {
	if kind == "ExternalRegistry" {
		return "externalregistries"
	}
	return strings.ToLower(kind) + "s"
}

func kind(plural string) string {
	return map[string]string{"licenses": "License", "externalregistries": "ExternalRegistry", "secrets": "Secret"}[plural]
}

func apiVersion(plural string) string {
	if plural == "secrets" {
		return "v1"
	}
	return "imageproxy.apps.tanzu.vmware.com/v1alpha1"
}
