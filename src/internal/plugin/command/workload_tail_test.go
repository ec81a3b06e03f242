// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// setReady stores a Workload in this state.
func (w *world) setReady(status string) {
	w.api.Store("dev", "web", map[string]any{
		"apiVersion": "carto.run/v1alpha1", "kind": "Workload", "spec": map[string]any{"image": "x"},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": status}}},
	})
}

// withPod stores a Workload that has a pod with one line in its log.
func (w *world) withPod() {
	w.setReady("Unknown")
	w.api.Pods = &lsptest.Pods{}
	w.api.Pods.Set(corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web-1", UID: "1", CreationTimestamp: metav1.Now(), Labels: map[string]string{"carto.run/workload-name": "web"},
		},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	})
	w.api.Pods.Log("web-1", "app", time.Now(), "hello")
}

// stopAt is a stream that calls stop once it has a text.
type stopAt struct {
	mu   sync.Mutex
	text bytes.Buffer
	at   string
	stop func()
}

func (s *stopAt) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(string(p), s.at) {
		s.stop()
	}
	return s.text.Write(p)
}

// TestWorkloadTail ends by Ctrl-C, which is success.
func TestWorkloadTail(t *testing.T) {
	w := newWorld(t)
	w.run("workload", "tail", "web").want(t, 1, "", "get Workload web in namespace dev: ")
	w.withPod()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, `web-1\[app\] hello\n`},
		{[]string{"--since", "1h", "--timestamps"}, `web-1\[app\] \d{4}-\d\d-\d\dT[0-9:.]+Z hello\n`},
		{[]string{"--since", "0", "-t"}, `web-1\[app\] \d{4}-\d\d-\d\dT[0-9:.]+Z hello\n`},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var errOut bytes.Buffer
		shown := &stopAt{at: "hello", stop: cancel}
		code := Run(ctx, append([]string{"workload", "tail", "web"}, tt.args...), strings.NewReader(""), shown, &errOut)
		outcome{code, shown.text.String(), errOut.String()}.want(t, 0, tt.want, "")
		cancel()
	}
	w.run("workload", "tail", "web", "--since", "-1s").want(t, 2, "", "--since -1s: write a duration such as 1h")
	w.run("workload", "tail", "web", "--component", "a=b").want(t, 2, "", `--component "a=b" cannot be a component`)
	w.run("workload", "tail").want(t, 2, "", "NAME is missing")
	w.api.Pods.Refuse = true
	w.run("workload", "tail", "web").want(t, 1, "", "; ask for a Role with list on pods and get on pods/log")
}

// TestApplyTail shows logs until the Workload is ready. They are no part of the result.
func TestApplyTail(t *testing.T) {
	w := newWorld(t)
	w.withPod()
	apply := func(ctx context.Context, stop func()) outcome {
		var out bytes.Buffer
		shown := &stopAt{at: "] hello", stop: stop}
		code := Run(ctx, []string{"workload", "apply", "web", "--image", "x", "--yes", "--tail"}, strings.NewReader(""), &out, shown)
		return outcome{code, out.String(), shown.text.String()}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	apply(ctx, cancel).want(t, 130, "", "web-1[app] hello\n")
	apply(t.Context(), func() { w.setReady("True") }).want(t, 0, "workload.carto.run/web\n", "web-1[app] hello\n")
	w.api.Pods.Refuse = true
	w.run("workload", "apply", "web", "--image", "x", "--yes", "--tail").want(t, 0, "workload.carto.run/web\n", "")
}
