// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// tailed is a Tail that runs, and what it has said.
type tailed struct {
	pods *lsptest.Pods
	tail *workload.Tail
	stop func() error
	// ended has what Run returned.
	ended chan error

	mu           sync.Mutex
	lines, notes []string
	more         chan struct{}
}

func startTail(t *testing.T, pods *lsptest.Pods, change func(*workload.Tail)) *tailed {
	t.Helper()
	cluster := lsptest.NewCluster(t, nil)
	cluster.API = &lsptest.API{Pods: pods}
	config := cluster.Config(lsptest.Developer)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &tailed{pods: pods, more: make(chan struct{}, 1)}
	note := func(into *[]string, text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		*into = append(*into, text)
		select {
		case w.more <- struct{}{}:
		default:
		}
	}
	w.tail = &workload.Tail{
		Client: client, Namespace: "dev", Workload: "web", Since: time.Hour, Interval: time.Millisecond,
		Line:   func(l workload.Line) { note(&w.lines, l.Pod+"["+l.Container+"] "+l.Text) },
		Notify: func(line string) { note(&w.notes, line) },
	}
	if change != nil {
		change(w.tail)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.ended = make(chan error, 1)
	go func() { w.ended <- w.tail.Run(ctx) }()
	w.stop = func() error { cancel(); return <-w.ended }
	t.Cleanup(cancel)
	return w
}

// await waits until these lines, in any order, and no others were shown.
func (w *tailed) await(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	for {
		w.mu.Lock()
		got := slices.Sorted(slices.Values(w.lines))
		w.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-w.more:
		case <-time.After(30 * time.Second):
			t.Fatalf("lines (-want +got):\n%s", cmp.Diff(want, got))
		}
	}
}

func pod(name, component string, made time.Time, statuses ...corev1.ContainerStatus) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "dev", UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(made),
			Labels: map[string]string{"carto.run/workload-name": "web", "app.kubernetes.io/component": component},
		},
		Status: corev1.PodStatus{ContainerStatuses: statuses},
	}
}

func running(name string, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, RestartCount: restarts, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}
}

func ended(name string, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, RestartCount: restarts, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}},
	}
}

// TestTailFollows: pods that come and go, containers that wait, end and start again, streams that break.
func TestTailFollows(t *testing.T) {
	now := time.Now()
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	pods := &lsptest.Pods{}
	waiting := corev1.ContainerStatus{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
	pods.Set(pod("old", "run", at(-7200), running("app", 0)))
	pods.Log("old", "app", at(-7000), "too old")
	pods.Log("old", "app", at(-10), "one")
	other := pod("other", "run", at(-7200), running("app", 0))
	other.Labels["carto.run/workload-name"] = "another"
	pods.Set(other)
	pods.Log("other", "app", at(-1), "of another Workload")
	w := startTail(t, pods, nil)
	w.await(t, "old[app] one")
	pods.Log("old", "app", at(1), "two")
	w.await(t, "old[app] one", "old[app] two")

	// The connection to the node breaks: nothing is shown twice, nothing is lost.
	pods.End("old", "app")
	pods.Log("old", "app", at(2), "three")
	want := []string{"old[app] one", "old[app] two", "old[app] three"}
	w.await(t, slices.Clone(want)...)

	// A pod that comes later is shown whole, its init containers too.
	pods.Set(pod("new", "build", at(-7200), waiting)) // the cluster's clock is behind
	late := pod("new", "build", at(-7200), running("app", 0))
	late.Status.InitContainerStatuses = []corev1.ContainerStatus{ended("prepare", 0)}
	pods.Log("new", "prepare", at(-7100), "prepared long ago")
	pods.End("new", "prepare")
	pods.Set(late)
	pods.Log("new", "app", at(6), "hello")
	want = append(want, "new[prepare] prepared long ago", "new[app] hello")
	w.await(t, slices.Clone(want)...)

	// A container starts again.
	pods.End("new", "app")
	late.Status.ContainerStatuses = []corev1.ContainerStatus{running("app", 1)}
	pods.Set(late)
	pods.Log("new", "app", at(7), "hello again")
	want = append(want, "new[app] hello again")
	w.await(t, slices.Clone(want)...)
	if err := w.stop(); err != nil {
		t.Errorf("Run: %v, want nil after the end of its context", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.notes) > 0 {
		t.Errorf("it was said: %q", w.notes)
	}
}

// TestTailEndedContainersAreReadOnce: an old build has dozens of them.
func TestTailEndedContainersAreReadOnce(t *testing.T) {
	pods := &lsptest.Pods{}
	pods.Set(pod("build", "build", time.Now(), ended("step", 0)))
	pods.Log("build", "step", time.Now(), "done")
	pods.End("build", "step")
	w := startTail(t, pods, nil)
	w.await(t, "build[step] done")
	lists := func() (lists, logs int) {
		for _, query := range pods.Queries() {
			if strings.HasPrefix(query, "?") {
				lists++
			} else {
				logs++
			}
		}
		return lists, logs
	}
	for before, _ := lists(); ; {
		now, logs := lists()
		if logs > 1 {
			t.Fatalf("the log was asked for %d times", logs)
		}
		if now > before+5 {
			break
		}
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

func TestTailSelects(t *testing.T) {
	pods := &lsptest.Pods{}
	pods.Set(pod("a", "build", time.Now(), running("x", 0)))
	pods.Set(pod("b", "run", time.Now(), running("x", 0)))
	for _, name := range []string{"a", "b"} {
		pods.Log(name, "x", time.Now().Truncate(time.Second), strings.Repeat("long ", 100_000))
	}
	w := startTail(t, pods, func(tail *workload.Tail) { tail.Component = "run" })
	w.await(t, "b[x] "+strings.Repeat("long ", 100_000)[:256<<10-len("2006-01-02T15:04:05Z ")])
	_ = w.stop()
}

func TestTailWithoutRights(t *testing.T) {
	pods := &lsptest.Pods{Refuse: true}
	pods.Set(pod("a", "build", time.Now(), running("x", 0)))
	w := startTail(t, pods, nil)
	if err := <-w.ended; err == nil || !strings.Contains(err.Error(), "pods/log") {
		t.Errorf("error %v, want what is forbidden", err)
	}
}
