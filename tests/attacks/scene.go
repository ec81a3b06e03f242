// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// scene is a server in a cgroup, with a registry that is good. The image proxy has a hostile one beside it;
// that of the source proxy is hostile in repositories of its own.
type scene struct {
	target
	server *harness.Server
	cgroup *cgroup
	// good, bad and guarded are the registries that it knows; the source proxy knows the good one.
	good, bad, guarded *registry
	// honest is the license of the honest client; empty at the source proxy.
	honest string
}

func newScene(t testing.TB, side side, withTLS bool) *scene {
	t.Helper()
	s := &scene{target: target{Side: side}, good: newRegistry(t), bad: newRegistry(t), guarded: newRegistry(t)}
	s.guarded.guarded = true
	limits := s.limits()
	s.cgroup = newCgroup(t, limits)
	options := harness.Options{Prepare: s.cgroup.hold, Environment: limits.environment()}
	if side == source {
		options.Values = map[string]any{
			"repository": s.good.host + "/" + harness.Repository, "allow_pull": true, "allow_sub_repositories": true,
		}
	} else {
		options.Flags = s.imagesFlags(t, withTLS)
		options.Secrets = []string{s.honest, s.Hostile}
	}
	s.server = harness.Start(t, options)
	if s.Address = s.server.Images; side == source {
		s.Address = s.server.Host
	}
	return s
}

// limits are those of the side's pods.
func (s *scene) limits() limits {
	if s.Side == source {
		return sourceLimits()
	}
	return imagesLimits()
}

// imagesFlags writes the objects of a vendor: two licenses, two registries.
func (s *scene) imagesFlags(t testing.TB, withTLS bool) []string {
	t.Helper()
	dir := t.TempDir()
	s.honest, s.Hostile = rand.Text(), rand.Text()
	object := func(kind, name string, spec map[string]any) {
		harness.WriteJSON(t, filepath.Join(dir, name+".yml"), map[string]any{
			"apiVersion": "imageproxy.apps.tanzu.vmware.com/v1alpha1", "kind": kind,
			"metadata": map[string]any{"name": name}, "spec": spec,
		})
	}
	for name, id := range map[string]string{"honest": s.honest, "hostile": s.Hostile} {
		hash := fmt.Sprintf("%x", sha256.Sum256([]byte(id)))
		object("License", name, map[string]any{
			"appSlug": app, "customerName": name, "credentials": []any{map[string]any{"name": "id", "sha256": hash}},
		})
	}
	for name, registry := range map[string]*registry{"good": s.good, "bad": s.bad, "guarded": s.guarded} {
		object("ExternalRegistry", name, map[string]any{"hostname": registry.host, "alias": name, "plainHTTP": true})
	}
	flags := []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + dir}
	if withTLS {
		certificates := harness.NewCertificates(t)
		s.CA = certificates.CA
		flags = append(flags, "--image-proxy-tls-cert="+certificates.CertFile, "--image-proxy-tls-key="+certificates.KeyFile)
	}
	return flags
}

// rest is what a server holds that has nothing to do.
type rest struct{ goroutines, files int }

// rest counts goroutines and open files, without the idle connections to the registries.
func (s *scene) rest(t testing.TB) rest {
	t.Helper()
	s.good.closeIdle()
	s.bad.closeIdle()
	s.guarded.closeIdle()
	files, err := os.ReadDir("/proc/" + strconv.Itoa(s.server.PID()) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return rest{int(s.server.Metric(t, "go_goroutines")), len(files)}
}

// recovery is how long what attackers left behind may stay: what does not move ends after a minute.
const recovery = 90 * time.Second

// slack is what may be going on besides: a scrape, a timer, a connection that is about to be closed.
const slack = 6

// settle waits until the server is at rest again; limit is what it may hold. It returns what it holds then, or
// when there was time enough.
func (s *scene) settle(t testing.TB, limit rest) rest {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		now := s.rest(t)
		if now.goroutines <= limit.goroutines+slack && now.files <= limit.files+slack {
			return now
		}
		select {
		case <-ctx.Done():
			return now
		case <-ticker.C:
		}
	}
}

// cpu is the processor time that the server used since its start (proc_pid_stat(5)).
func (s *scene) cpu() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(s.server.PID()) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	// The name is in parentheses and may hold anything; utime and stime are the 12th and 13th field behind it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		number, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		ticks += number
	}
	const ticksPerSecond = 100 // USER_HZ
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}
