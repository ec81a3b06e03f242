// SPDX-License-Identifier: Apache-2.0

package lsptest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Pods are the pods of one namespace, with logs that grow while they are followed.
type Pods struct {
	// Refuse forbids reading logs, and metrics.
	Refuse bool
	// Metrics is what each pod answers to /metrics.
	Metrics string

	mu      sync.Mutex
	pods    []corev1.Pod
	logs    map[string]*podLog // by pod/container
	changed chan struct{}
	queries []string
}

type podLog struct {
	lines []logLine
	ended bool // what is followed ends here
}

type logLine struct {
	at   time.Time
	text string
}

// Set adds a pod, or replaces the one of its name. Its containers' statuses say what can be followed.
func (p *Pods) Set(pod corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pods = slices.DeleteFunc(p.pods, func(old corev1.Pod) bool { return old.Name == pod.Name })
	p.pods = append(p.pods, pod)
}

// Log appends a line to a container's log.
func (p *Pods) Log(pod, container string, at time.Time, text string) {
	p.change(pod, container, func(l *podLog) { l.lines, l.ended = append(l.lines, logLine{at, text}), false })
}

// End ends the streams of a container's log, as they end with the container or with its node's connection.
func (p *Pods) End(pod, container string) {
	p.change(pod, container, func(l *podLog) { l.ended = true })
}

func (p *Pods) change(pod, container string, change func(*podLog)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.logs == nil {
		p.logs = map[string]*podLog{}
	}
	l := p.logs[pod+"/"+container]
	if l == nil {
		l = &podLog{}
		p.logs[pod+"/"+container] = l
	}
	change(l)
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// Queries are the queries of all requests so far.
func (p *Pods) Queries() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.queries)
}

func (p *Pods) serve(w http.ResponseWriter, r *http.Request, rest []string) {
	p.mu.Lock()
	p.queries = append(p.queries, strings.Join(rest, "/")+"?"+r.URL.RawQuery)
	p.mu.Unlock()
	if len(rest) == 2 && rest[1] == "log" {
		if p.Refuse {
			status(w, http.StatusForbidden, "Forbidden", `pods "`+rest[0]+`" is forbidden: cannot get resource "pods/log"`)
			return
		}
		p.follow(w, r, rest[0]+"/"+r.URL.Query().Get("container"))
		return
	}
	if len(rest) == 3 && rest[1] == "proxy" && rest[2] == "metrics" && strings.HasSuffix(rest[0], ":8081") {
		if p.Refuse {
			status(w, http.StatusForbidden, "Forbidden", `pods "`+rest[0]+`" is forbidden: cannot get resource "pods/proxy"`)
			return
		}
		_, _ = w.Write([]byte(p.Metrics)) // the client is gone when this fails
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		status(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	p.mu.Lock()
	for i := range p.pods {
		if selector.Matches(labels.Set(p.pods[i].Labels)) {
			list.Items = append(list.Items, p.pods[i])
		}
	}
	p.mu.Unlock()
	_ = json.NewEncoder(w).Encode(list) // the client is gone when this fails
}

// follow answers with lines from sinceTime or sinceSeconds on, which have the kubelet's precision of a second.
func (p *Pods) follow(w http.ResponseWriter, r *http.Request, key string) {
	query := r.URL.Query()
	var since time.Time
	if seconds, err := time.ParseDuration(query.Get("sinceSeconds") + "s"); err == nil {
		since = time.Now().Add(-seconds)
	}
	if at, err := time.Parse(time.RFC3339, query.Get("sinceTime")); err == nil {
		since = at
	}
	for next := 0; ; {
		p.mu.Lock()
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed, log := p.changed, podLog{ended: true}
		if l := p.logs[key]; l != nil {
			log = podLog{slices.Clone(l.lines), l.ended}
		}
		p.mu.Unlock()
		for ; next < len(log.lines); next++ {
			if line := log.lines[next]; !line.at.Before(since) {
				fmt.Fprintf(w, "%s %s\n", line.at.UTC().Format(time.RFC3339Nano), line.text)
			}
		}
		_ = http.NewResponseController(w).Flush() // as above
		if log.ended || query.Get("follow") != "true" {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}
