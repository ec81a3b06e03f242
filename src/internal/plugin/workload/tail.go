// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Labels of the pods that a supply chain makes for a Workload.
const (
	nameLabel      = "carto.run/workload-name"
	componentLabel = "app.kubernetes.io/component"
)

// Tail follows the logs of a Workload's pods, which come and go. Client, Namespace, Workload and Line are
// required.
type Tail struct {
	Client              kubernetes.Interface
	Namespace, Workload string
	// Component, if set, is the one whose pods are followed, such as "build".
	Component string
	// Since is how old lines may be of pods that are there already; 0 shows all of them. Pods that come later
	// are shown whole.
	Since time.Duration
	// Line hears of each line, one at a time.
	Line func(Line)
	// Notify hears of what keeps lines from being read. It may be nil.
	Notify func(string)
	// Interval is how often the pods are listed; 0 means once a second.
	Interval time.Duration

	mu      sync.Mutex
	streams map[streamKey]*stream
	began   time.Time
	old     map[types.UID]bool // pods of the first list; clocks of the cluster and of this machine may differ
	fatal   error
	told    string
}

// Line is one line of a container's log.
type Line struct {
	Pod, Container string
	// Time is when the container wrote it, as its node says.
	Time string
	Text string
}

type streamKey struct {
	pod       types.UID
	container string
}

// stream is how far one container's log has been read.
type stream struct {
	active bool
	read   bool   // to the end of a container that has ended
	run    int32  // which of the container's runs: its restarts
	last   string // the time of the last line, to go on from
}

// Run follows until the context ends, which is no error. Whoever may not read the pods or logs gets an error.
func (t *Tail) Run(ctx context.Context) error {
	if t.Interval == 0 {
		t.Interval = time.Second
	}
	if t.Notify == nil {
		t.Notify = func(string) {}
	}
	t.streams, t.began = map[streamKey]*stream{}, time.Now()
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	ticker := time.NewTicker(t.Interval)
	defer ticker.Stop()
	for {
		pods, err := t.list(ctx)
		switch {
		case ctx.Err() != nil:
			return t.failure()
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return err
		case err != nil:
			t.tell(err.Error() + "; trying again")
		case t.old == nil:
			t.old = map[types.UID]bool{}
			for i := range pods {
				t.old[pods[i].UID] = true
			}
		}
		for i := range pods {
			t.follow(ctx, cancel, &readers, &pods[i])
		}
		select {
		case <-ctx.Done():
			return t.failure()
		case <-ticker.C:
		}
	}
}

func (t *Tail) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fatal
}

// tell says the same thing once: what is tried every second may fail for long.
func (t *Tail) tell(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if line != t.told {
		t.told = line
		t.Notify(line)
	}
}

func (t *Tail) list(ctx context.Context) ([]corev1.Pod, error) {
	selector := nameLabel + "=" + t.Workload
	if t.Component != "" {
		selector += "," + componentLabel + "=" + t.Component
	}
	list, err := t.Client.CoreV1().Pods(t.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list the pods of Workload %s: %w", t.Workload, err)
	}
	return list.Items, nil
}

// follow starts a reader for each container that has something to read and is not being read.
func (t *Tail) follow(ctx context.Context, cancel func(), readers *sync.WaitGroup, pod *corev1.Pod) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		ended := c.State.Terminated != nil
		if !ended && c.State.Running == nil {
			continue
		}
		key := streamKey{pod.UID, c.Name}
		s := t.streams[key]
		if s == nil {
			s = &stream{run: c.RestartCount}
			t.streams[key] = s
		}
		if s.active || s.read && s.run == c.RestartCount {
			continue
		}
		s.active, s.read, s.run = true, false, c.RestartCount
		options := t.options(pod, c.Name, s.last)
		name, after := pod.Name, s.last
		readers.Go(func() {
			last, err := t.read(ctx, name, options, after)
			t.mu.Lock()
			defer t.mu.Unlock()
			s.active, s.last, s.read = false, last, ended && err == nil
			if apierrors.IsForbidden(err) && t.fatal == nil {
				t.fatal = err
				cancel()
			}
		})
	}
}

// options ask for the node's times, by which the reading goes on where it stopped.
func (t *Tail) options(pod *corev1.Pod, container, after string) *corev1.PodLogOptions {
	options := &corev1.PodLogOptions{Container: container, Follow: true, Timestamps: true}
	if at, err := time.Parse(time.RFC3339Nano, after); err == nil {
		options.SinceTime = &metav1.Time{Time: at}
	} else if t.Since > 0 && t.old[pod.UID] {
		seconds := int64(math.Ceil((t.Since + time.Since(t.began)).Seconds()))
		options.SinceSeconds = &seconds
	}
	return options
}

// read passes lines on until the log ends, and returns the time of the last one. Those up to after were
// passed on before.
func (t *Tail) read(
	ctx context.Context, pod string, options *corev1.PodLogOptions, after string,
) (string, error) {
	log, err := t.Client.CoreV1().Pods(t.Namespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		if ctx.Err() == nil && !apierrors.IsForbidden(err) {
			t.tell(fmt.Sprintf("read the log of %s[%s]: %v", pod, options.Container, err))
		}
		return after, fmt.Errorf("read the log of pod %s: %w", pod, err)
	}
	defer log.Close()
	last, err := readLines(log, after, func(at, text string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if ctx.Err() == nil {
			t.Line(Line{pod, options.Container, at, text})
		}
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return last, fmt.Errorf("read the log of pod %s: %w", pod, err)
	}
	return last, nil
}
