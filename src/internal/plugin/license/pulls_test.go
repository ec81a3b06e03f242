// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

func at(minute int) time.Time { return time.Date(2026, 11, 21, 8, minute, 0, 0, time.UTC) }

// line is what the server writes.
func line(minute int, license, reference string) string {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(at(minute))
		}
		return a
	}}))
	imageproxy.Record{
		ID: "REQUEST", Customer: "Acme", License: license, App: "shop", Action: imageproxy.Manifest, Image: "quay.io/team/api", Reference: reference,
		Status: 200, Success: true, Bytes: 12, Duration: 3 * time.Millisecond, Remote: "192.0.2.7", Cache: "hit",
		Err: errors.New("the client went away"),
	}.Log(context.Background(), logger)
	return out.String()
}

func references(all []license.Pull) string {
	var text []string
	for _, p := range all {
		text = append(text, p.Reference)
	}
	return strings.Join(text, " ")
}

func TestReadKeepsEveryField(t *testing.T) {
	got, err := license.ReadPulls(strings.NewReader(line(1, "acme", "v1")), license.PullQuery{License: "acme", Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	want := []license.Pull{{
		Time: at(1), ID: "REQUEST", License: "acme", Customer: "Acme", App: "shop", Action: "manifest", Image: "quay.io/team/api",
		Reference: "v1", Status: 200, Success: true, Bytes: 12, Duration: 3 * time.Millisecond, Seconds: 0.003, Remote: "192.0.2.7", Cache: "hit",
		Error: "the client went away",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRead(t *testing.T) {
	crowd := []string{
		"", "panic: none of ours", `{"msg":"request","license":"acme"}`, `{"msg":"pull"`, line(2, "beta", "other"), "{}{}",
		`{"time":"soon","msg":"pull","license":"acme"}`, `{"msg":"pull","license":"acme","reference":"without-time"}`,
		`{"time":"2026-11-21T08:03:00Z","msg":"request","license":"acme","action":"pull","reference":"no-pull"}`,
		strings.Repeat("x", 1<<17) + line(3, "acme", "too-long"),
	}
	tests := []struct {
		name string
		log  []string
		q    license.PullQuery
		want string
	}{
		{"nothing", nil, license.PullQuery{License: "acme", Limit: 1}, ""},
		{"in the order of time", []string{line(3, "acme", "c"), line(1, "acme", "a"), line(2, "acme", "b")}, license.PullQuery{License: "acme", Limit: 5}, "a b c"},
		{"the newest", []string{line(3, "acme", "c"), line(1, "acme", "a"), line(2, "acme", "b")}, license.PullQuery{License: "acme", Limit: 2}, "b c"},
		{"since", []string{line(1, "acme", "a"), line(2, "acme", "b"), line(3, "acme", "c")}, license.PullQuery{License: "acme", Limit: 5, Since: at(2)}, "b c"},
		{"among other lines", append(crowd, line(4, "acme", "a")), license.PullQuery{License: "acme", Limit: 5}, "a"},
		{"behind a collector's words", []string{"2026-11-21T08:00:00Z stdout F " + line(1, "acme", "a"), "[pod/image-proxy-1] " + line(2, "acme", "b")}, license.PullQuery{License: "acme", Limit: 5}, "a b"},
		{"without a line feed at the end", []string{strings.TrimSpace(line(1, "acme", "a"))}, license.PullQuery{License: "acme", Limit: 5}, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := license.ReadPulls(strings.NewReader(strings.ReplaceAll(strings.Join(tt.log, "\n"), "\n\n", "\n")), tt.q)
			if err != nil || references(got) != tt.want {
				t.Errorf("%q, %v; want %q", references(got), err, tt.want)
			}
		})
	}
}

// TestReadWithoutJSON: a log of another form says nothing about pulls, which is not the same as that there
// were none.
func TestReadWithoutJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		log string
		err error
	}{
		"text form":        {"time=2026-11-21T08:00:00Z level=INFO msg=pull license=acme\n", license.ErrNoJSON},
		"cut off":          {`{"msg":"pull","license":`, license.ErrNoJSON},
		"long and no JSON": {strings.Repeat("x", 1<<17), license.ErrNoJSON},
		"empty":            {"", nil},
		"blank":            {"\n \n", nil},
		"JSON among text":  {"starting\n" + `{"msg":"request"}` + "\nended", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := license.ReadPulls(strings.NewReader(tt.log), license.PullQuery{License: "acme", Limit: 5})
			if !errors.Is(err, tt.err) || len(got) > 0 {
				t.Errorf("%v, %v; want %v", got, err, tt.err)
			}
		})
	}
}

func TestReadKeepsWhatItHas(t *testing.T) {
	broken := errors.New("the connection broke")
	got, err := license.ReadPulls(io.MultiReader(strings.NewReader(line(1, "acme", "a")), iotest.ErrReader(broken)), license.PullQuery{License: "acme", Limit: 5})
	if !errors.Is(err, broken) || references(got) != "a" {
		t.Errorf("%q, %v", references(got), err)
	}
}

// TestReadLongLog reads far more than it keeps.
func TestReadLongLog(t *testing.T) {
	var log strings.Builder
	for i := range 5000 {
		log.WriteString(line(i, "acme", fmt.Sprint("v", i)))
	}
	got, err := license.ReadPulls(strings.NewReader(log.String()), license.PullQuery{License: "acme", Limit: 3})
	if err != nil || references(got) != "v4997 v4998 v4999" || cap(got) > 6 {
		t.Errorf("%q with room for %d, %v", references(got), cap(got), err)
	}
}

func TestPodsWithoutAny(t *testing.T) {
	client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "ns", Labels: map[string]string{"app.kubernetes.io/name": "other"}}})
	_, err := license.PodPulls(t.Context(), client, "ns", license.PullQuery{License: "acme", Limit: 5})
	if err == nil || !strings.Contains(err.Error(), "there is no pod app.kubernetes.io/name=image-proxy in namespace ns") {
		t.Error(err)
	}
}

// FuzzRead: pulls of any log are the license's, in order, no more than asked for.
func FuzzRead(f *testing.F) {
	f.Add([]byte(line(1, "acme", "a")+line(0, "acme", "b")+"{"), 1)
	f.Add([]byte(`{"msg":"pull","License":"acme","time":"2026-11-21T08:03:00Z","status":1e9}`), 3)
	f.Fuzz(func(t *testing.T, log []byte, limit int) {
		q := license.PullQuery{License: "acme", Limit: max(1, limit%100)}
		got, err := license.ReadPulls(bytes.NewReader(log), q)
		if errors.Is(err, license.ErrNoJSON) && len(got) == 0 {
			return
		}
		if err != nil || len(got) > q.Limit {
			t.Fatalf("%d pulls, limit %d, %v", len(got), q.Limit, err)
		}
		if !slices.IsSortedFunc(got, func(a, b license.Pull) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("not in order: %v", got)
		}
		for _, p := range got {
			if p.License != "acme" || p.Time.IsZero() {
				t.Errorf("%+v", p)
			}
		}
	})
}
