// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/store"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/kubetest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// opinionated is a registry with Basic authentication, without a socket, so that it can be in a bubble.
type opinionated struct {
	conns chan net.Conn

	mu       sync.Mutex
	password string
	down     bool
	shown    []string // passwords that it was shown
}

func newOpinionated(t *testing.T, password string) *opinionated {
	r := &opinionated{conns: make(chan net.Conn), password: password}
	server := &http.Server{Handler: r}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(r) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return r
}

func (r *opinionated) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, password, ok := req.BasicAuth()
	if ok {
		r.shown = append(r.shown, password)
	}
	if !ok || password != r.password {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// set changes the registry, and returns how often it was shown a credential since the last time.
func (r *opinionated) set(change func(*opinionated)) (shown int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
	shown = len(r.shown)
	r.shown = nil
	return shown
}

func (r *opinionated) asked() int { return r.set(func(*opinionated) {}) }

func (r *opinionated) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	r.mu.Lock()
	down := r.down
	r.mu.Unlock()
	if down {
		return nil, fmt.Errorf("dial tcp: connection refused")
	}
	client, server := net.Pipe()
	select {
	case r.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (r *opinionated) Accept() (net.Conn, error) {
	conn, ok := <-r.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (r *opinionated) Close() error   { close(r.conns); return nil }
func (r *opinionated) Addr() net.Addr { return &net.TCPAddr{} }

// asking follows a cluster, as a server does that asks the registry.
func asking(t *testing.T, server *kubetest.Server, double *opinionated) *replica {
	t.Helper()
	r := &replica{log: &lines{}}
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	client, err := kube.NewImageProxyAt(server.Config(), namespace, logger)
	if err != nil {
		t.Fatal(err)
	}
	r.follow(t, store.Config{
		Cluster: client, Log: logger, Ask: true, Upstream: upstream.Config{Dial: double.dial, RetryDelay: time.Microsecond},
	})
	return r
}

func plainQuay() *v1alpha1.ExternalRegistry {
	return quay(func(r *v1alpha1.ExternalRegistry) { r.Spec.PlainHTTP = true })
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantAccepted compares the condition, as status, reason, and a part of the message.
func wantAccepted(t *testing.T, server *kubetest.Server, status, reason, message string) {
	t.Helper()
	var r v1alpha1.ExternalRegistry
	server.Get("externalregistries", "quay", &r)
	c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.CredentialAccepted)
	if c == nil || string(c.Status) != status || c.Reason != reason || !strings.Contains(c.Message, message) || c.ObservedGeneration != r.Generation {
		t.Errorf("the condition is %+v, want %s %s with %q", c, status, reason, message)
	}
	if c != nil && (strings.Contains(c.Message, "pw-")) {
		t.Errorf("the message has a password: %s", c.Message)
	}
	if valid := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.Valid); valid == nil {
		t.Error("the condition Valid is gone")
	}
}

// TestARegistryIsAskedForItsOpinion of the credential, and the object's status has it before any customer asks. A
// refused credential is shown once in hours by all replicas together, and a changed one at once.
func TestARegistryIsAskedForItsOpinion(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		double := newOpinionated(t, "pw-one")
		server.Put(secret("pw-one"))
		server.Put(plainQuay())
		for range 3 {
			asking(t, server, double)
		}
		pass(2 * time.Minute)
		wantAccepted(t, server, "True", "Accepted", "Secret quay-pull")
		if n := double.asked(); n == 0 || n > 3 {
			t.Errorf("asked %d times at the start", n)
		}
		writes(server)
		pass(24 * time.Hour)
		if n := double.asked(); n < 15 || n > 26 {
			t.Errorf("asked %d times a day by three replicas", n)
		}
		if n := writes(server); n < 15 || n > 26 {
			t.Errorf("written %d times a day by three replicas", n)
		}
		double.set(func(r *opinionated) { r.password = "pw-two" })
		pass(75 * time.Minute)
		wantAccepted(t, server, "False", "Refused", "correct it in Secret quay-pull")
		double.asked()
		pass(24 * time.Hour)
		if n := double.asked(); n > 5 {
			t.Errorf("a refused credential was shown %d times a day", n)
		}
		server.Put(secret("pw-two"))
		pass(15 * time.Second)
		wantAccepted(t, server, "True", "Accepted", "")
	})
}

// TestARestartAsksLittle: what another server, or this one before, has learnt counts. Only a refused credential may
// have changed meanwhile, and is shown again, no more than twice an hour however often the server starts.
func TestARestartAsksLittle(t *testing.T) {
	for password, most := range map[string]int{"pw-one": 1, "pw-another": 2} {
		inCluster(t, func(t *testing.T, server *kubetest.Server) {
			double := newOpinionated(t, password)
			server.Put(secret("pw-one"))
			server.Put(plainQuay())
			for range 50 {
				r := asking(t, server, double)
				pass(time.Minute)
				r.stop()
			}
			if n := double.asked(); n == 0 || n > most {
				t.Errorf("shown %d times in 50 starts within an hour, want %d at most", n, most)
			}
		})
	}
}

// TestWhatIsNotKnownIsNotSaid: a registry that is away, a credential that is gone, and one that nobody named.
func TestWhatIsNotKnownIsNotSaid(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		double := newOpinionated(t, "pw-one")
		double.set(func(r *opinionated) { r.down = true })
		server.Put(secret("pw-one"))
		server.Put(plainQuay())
		r := asking(t, server, double)
		pass(2 * time.Minute)
		wantAccepted(t, server, "Unknown", "RegistryUnreachable", "connection refused")
		pass(6 * time.Hour)
		if n := strings.Count(r.log.String(), "is not known"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}
		double.set(func(r *opinionated) { r.down = false })
		pass(15 * time.Minute)
		wantAccepted(t, server, "True", "Accepted", "")
		server.Delete("secrets", "quay-pull")
		pass(5 * time.Minute)
		wantAccepted(t, server, "Unknown", "NotAsked", "Valid")
		double.asked()
		server.Put(secret("pw-mistyped"))
		pass(2 * time.Minute)
		wantAccepted(t, server, "False", "Refused", "")
		if n := strings.Count(r.log.String(), "does not take its credential"); n != 1 || strings.Contains(r.log.String(), "pw-mistyped") {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}
		server.Put(quay(func(r *v1alpha1.ExternalRegistry) {
			r.Spec.PlainHTTP, r.Spec.Credentials = true, v1alpha1.RegistryCredentials{}
		}))
		pass(2 * time.Minute)
		wantAccepted(t, server, "False", "NoneNamed", "spec.credentials")
	})
}

// TestAnOutageIsNoReasonToAskAgain: what could not be written is written later.
func TestAnOutageIsNoReasonToAskAgain(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		double := newOpinionated(t, "pw-another")
		server.Put(secret("pw-one"))
		server.Put(plainQuay())
		server.Fail(func(r *http.Request) *metav1.Status {
			if r.Method != http.MethodPut {
				return nil
			}
			return kubetest.Failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		})
		asking(t, server, double)
		pass(time.Hour)
		if n := double.asked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		server.Fail(nil)
		pass(3 * time.Minute)
		wantAccepted(t, server, "False", "Refused", "")
		if n := double.asked(); n != 0 {
			t.Errorf("asked %d times more", n)
		}
	})
}

// TestACredentialThatChangesAllTheTime does not have the registry asked all the time.
func TestACredentialThatChangesAllTheTime(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		double := newOpinionated(t, "pw-another")
		server.Put(secret("pw-one"))
		server.Put(plainQuay())
		asking(t, server, double)
		pass(time.Minute)
		double.asked()
		for i := range 100 {
			server.Put(secret(fmt.Sprint("pw-wrong", i)))
			pass(6 * time.Second)
		}
		if n := double.asked(); n > 21 {
			t.Errorf("asked %d times in ten minutes", n)
		}
	})
}
