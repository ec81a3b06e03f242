// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// healthyFor and unhealthyFor are how long a result is kept: every push begins with a look at /health.
	healthyFor   = 10 * time.Second
	unhealthyFor = 2 * time.Second
	// healthTimeout bounds one look at the registry; clients give up after half a minute.
	healthTimeout = 20 * time.Second
)

// report is the body of /health. Message is escaped as in a URL's query, which is how clients read it.
type report struct {
	StatusCode string `json:"statuscode"`
	Message    string `json:"message"`
}

// caller is what the namespaced API knows of who asks.
type caller struct {
	Namespace string `json:"namespace"`
	User      string `json:"user"`
	// Groups is how many groups the user is in.
	Groups  int     `json:"groups"`
	Tenancy Tenancy `json:"tenancy"`
}

// health answers /health for one configuration: whether a push would succeed, as far as the registry is
// concerned. The status of the answer itself is never 401, 403 or 404, which clients read as a missing
// permission or a missing installation. The zero value is ready.
type health struct {
	mu    sync.Mutex
	last  *simplelru.LRU[string, outcome] // by repository
	group singleflight.Group[outcome]
}

// remembered is how many repositories have their last outcome kept.
const remembered = 1024

// outcome is what a look at the registry has shown: what callers are told, and for the log, why.
type outcome struct {
	report
	err   error
	until time.Time
}

func (h *health) serve(w http.ResponseWriter, r *http.Request, now admission) error {
	httpserver.Started(r.Context(), "health", "", "")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return oci.Errorf(oci.Unsupported, "/health can only be read").With("Allow", "GET, HEAD")
	}
	if now.Registry == nil {
		invalid := report{"500", "registry server configuration in the cluster is invalid: " + now.Problem.Error()}
		return write(w, http.StatusInternalServerError, invalid, now.caller)
	}
	result, err := h.look(r.Context(), now)
	if err != nil {
		return oci.Errorf(oci.ClientClosed, "the client went away").Because(err)
	}
	httpserver.EntryOf(r.Context()).Err = result.err
	return write(w, http.StatusOK, result.report, now.caller)
}

// look returns a recent result, or asks the registry once for all who want to know.
func (h *health) look(ctx context.Context, now admission) (outcome, error) {
	repository := now.root()
	if recent, ok := h.recent(repository); ok {
		return recent, nil
	}
	return h.group.Do(ctx, repository, healthTimeout, func(ctx context.Context) (outcome, error) {
		err := preflight.TryPush(ctx, now.Registry, repository)
		keep := healthyFor
		if err != nil {
			keep = unhealthyFor
		}
		result := outcome{describe(err), explained(err), time.Now().Add(keep)}
		h.keep(repository, result)
		return result, nil
	})
}

func (h *health) recent(repository string) (outcome, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		return outcome{}, false
	}
	last, ok := h.last.Get(repository)
	return last, ok && time.Now().Before(last.until)
}

func (h *health) keep(repository string, result outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		h.last, _ = simplelru.NewLRU[string, outcome](remembered, nil) // only a size that is not positive is an error
	}
	h.last.Add(repository, result)
}

// describe puts the outcome of a handshake in the words of the report. What the network says names
// addresses: the log has it.
func describe(err error) report {
	if err == nil {
		return report{"200", "the registry accepts pushes"}
	}
	if failure, ok := errors.AsType[*preflight.Failure](err); ok {
		return report{strconv.Itoa(failure.Status), failure.Message}
	}
	if refusal, ok := errors.AsType[*upstream.Refusal](err); ok {
		if _, realm := errors.AsType[*upstream.RealmError](refusal); realm {
			return report{strconv.Itoa(http.StatusBadGateway), strange(refusal)}
		}
		return report{strconv.Itoa(cmp.Or(refusal.Status, http.StatusBadGateway)), refusal.Reason}
	}
	if busy, ok := errors.AsType[*upstream.Busy](err); ok {
		return report{strconv.Itoa(busy.Status), "the registry has too much to do; try again later"}
	}
	return report{strconv.Itoa(http.StatusBadGateway), "the registry cannot be reached: " + obstacle(err)}
}

// explained adds for the log what the operator can do.
func explained(err error) error {
	if realm, ok := errors.AsType[*upstream.RealmError](err); ok {
		return fmt.Errorf("%w; %s", err, realm.Remedy(realmsSetting))
	}
	return err
}

func obstacle(err error) string {
	if _, unresolved := errors.AsType[*net.DNSError](err); unresolved {
		return "its name does not resolve"
	}
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return "its certificate is not trusted; the operator can add the CA's to ca_cert_data"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer in time"
	}
	if errors.Is(err, upstream.ErrPage) {
		return "a web page answers in its place; the operator has to look at its address and at what is between"
	}
	return "the connection fails; the proxy's log says how"
}

func write(w http.ResponseWriter, status int, result report, to *caller) error {
	result.Message = url.QueryEscape(result.Message)
	body, err := json.Marshal(struct {
		report
		*caller
	}{result, to})
	if err != nil {
		return err
	}
	return writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}
