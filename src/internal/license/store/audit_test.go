// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/kubetest"
)

// audits are the audit lines of a log, each as event, name and state; all are at info.
func audits(t *testing.T, log *lines) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "msg=audit") {
			continue
		}
		if !strings.Contains(line, "level=INFO") || strings.Contains(line, v1alpha1.Hash("acme")) {
			t.Errorf("the line is %s", line)
		}
		text := ""
		for _, key := range []string{"event", "name", "state"} {
			if value := regexp.MustCompile(` ` + key + `=(\S+)`).FindStringSubmatch(line); value != nil {
				text += " " + value[1]
			}
		}
		found = append(found, strings.TrimSpace(text))
	}
	return found
}

func wantAudits(t *testing.T, log *lines, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, audits(t, log)); diff != "" {
		t.Errorf("audit lines (-want +got):\n%s\n%s", diff, log)
	}
}

// TestWhatBecomesOfAnObjectIsOneLine in a cluster: however often its status is written, and whatever else
// happens meanwhile.
func TestWhatBecomesOfAnObjectIsOneLine(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(secret("one"))
		server.Put(acme())
		r := start(t, server)
		edit := func(text string) func(*v1alpha1.License) {
			return func(l *v1alpha1.License) { l.Spec.CustomerEmail = text }
		}
		end := time.Now().Add(time.Hour)
		expires := func(l *v1alpha1.License) { l.Spec.ExpiresAt = end.UTC().Format(time.RFC3339) }
		for _, step := range []func(){
			func() { r.Pulled("acme", true, time.Now()) }, // its status is no change of it
			func() { server.Put(acme(edit("a@example.com"))) },
			func() { server.Put(acme(edit("a@example.com"))) }, // the same again
			func() { server.Put(quay()) },
			func() { server.Put(secret("two")) }, // is no object
			func() { server.Put(acme(func(l *v1alpha1.License) { l.Spec.AppSlug = "Not a slug" })) },
			func() { server.Put(acme(func(l *v1alpha1.License) { l.Spec.Revoked = true })) },
			func() { server.Put(acme(expires)) },
			func() { time.Sleep(2 * time.Hour) }, // it ends by the clock
			func() { server.Put(acme(expires, edit("b@example.com"))) },
			func() { server.Put(acme()) },
			func() {
				server.Put(acme(func(l *v1alpha1.License) { l.Spec.ExpiresAt = "2000-01-01T00:00:00Z" }))
			},
			func() { server.Delete("licenses", "acme") },
			func() { server.Put(acme()) },
			func() { server.Delete("externalregistries", "quay") },
		} {
			step()
			time.Sleep(2 * time.Minute)
			synctest.Wait()
		}
		wantAudits(t, r.log,
			"changed acme in_force", "made quay in_force", "changed acme in_force", "revoked acme revoked",
			"changed acme in_force", "expired acme expired", "changed acme expired", "changed acme in_force", "expired acme expired",
			"removed acme", "made acme in_force", "removed quay",
		)
		r.stop()
		wantAudits(t, start(t, server).log) // what is there at the start has not become anything
	})
}

// TestWhatBecomesOfAFileIsOneLine: the same in a directory, by what files say and not by their form.
func TestWhatBecomesOfAFileIsOneLine(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("a", "one"), "old.yml": license("old", "old", "  expiresAt: 2000-01-01T00:00:00Z")})
	f.write(t, "a.yml", "# a comment\n"+license("a", "one")+"---\n"+license("b", "two"))
	f.until(admits("two"))
	f.write(t, "a.yml", license("a", "one", "  customerEmail: a@example.com")+"---\n"+license("b", "two", "  revoked: true"))
	f.until(revoked("two"))
	must(t, os.Rename(filepath.Join(f.dir, "a.yml"), filepath.Join(f.dir, "moved.yml"))) // becomes nothing else
	f.write(t, "c.yml", license("c", "three"))
	f.until(all(admits("one"), admits("three")))
	f.write(t, "c.yml", license("c", "three", "  appSlag: x"))
	f.write(t, "d.yml", license("d", "four"))
	f.until(admits("four"))
	must(t, os.Remove(filepath.Join(f.dir, "d.yml")))
	f.until(func(c *catalog.Catalog) bool { return !admits("four")(c) })
	end := time.Now().Add(1500 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	f.write(t, "e.yml", license("e", "five", fmt.Sprintf("  expiresAt: %q", end)))
	f.until(func(*catalog.Catalog) bool { return strings.Contains(f.log.String(), "event=expired") })
	got := map[string]int{}
	for _, each := range audits(t, f.log) {
		got[each]++
	}
	want := map[string]int{
		"made b in_force": 1, "changed a in_force": 1, "revoked b revoked": 1, "made c in_force": 1, "changed c in_force": 1,
		"made d in_force": 1, "removed d": 1, "made e in_force": 1, "expired e expired": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit lines (-want +got):\n%s\n%s", diff, f.log)
	}
}
