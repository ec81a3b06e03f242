// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// Side names the side in logs, metrics and upload sessions.
	Side = "source"
	// Name is the repository's name on the client's side. Existing clients know no other.
	Name = "source"
	// PathHeader tells the client the upstream repository, as an image reference without a tag; the client
	// puts it into the Workload in place of what it pushed to.
	PathHeader = "Lsp-Registry-Path"
)

// Upstream is what the operator has configured. It does not change; a changed configuration is another one.
type Upstream struct {
	// Registry is nil when there is no valid configuration, and Problem then says why.
	Registry   *upstream.Registry
	Problem    error
	Repository string
	// AllowPull lets clients download blobs, AllowDelete delete content, AllowSubRepositories use names below
	// "source".
	AllowPull, AllowDelete, AllowSubRepositories bool
	// Tenancy is how namespaces share the repository in the namespaced API.
	Tenancy Tenancy

	health health
}

// Proxy is the handler of the source proxy.
type Proxy struct {
	// Software is the Server header of every response (RFC 9110, 10.2.4), such as local-source-proxy/0.3.0,
	// so that "kubectl lsp version" can tell; empty for none.
	Software string
	// Log gets a debug line with each decision; nil discards.
	Log *slog.Logger

	engine  *engine.Engine
	current func() *Upstream
}

// New makes the side. current returns the configuration that is in force; it is asked once a request.
func New(e *engine.Engine, current func() *Upstream) *Proxy {
	return &Proxy{engine: e, current: current}
}

// Serve answers a request; it is an [httpserver.HandlerFunc].
func (p *Proxy) Serve(w http.ResponseWriter, r *http.Request) error {
	return p.serve(w, r, admission{Upstream: p.current(), prefix: prefixOf(r)})
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, a admission) error {
	if p.Software != "" {
		httpserver.Stamp(w, "Server", p.Software)
	}
	if a.Registry != nil {
		httpserver.Stamp(w, PathHeader, a.Registry.Host()+"/"+a.root())
	}
	if strings.TrimSuffix(r.URL.EscapedPath(), "/") == "/health" {
		return a.health.serve(w, r, a)
	}
	a.log = p.Log
	return p.engine.Serve(w, r, a)
}

// admission is the side as one request sees it: with the configuration that was in force when it came, and
// the namespace that it is for.
type admission struct {
	*Upstream
	// caller is who asks, and for which namespace; nil behind the service proxy, which does not say.
	caller *caller
	// prefix is what was taken off the client's path.
	prefix string
	// log gets its decision; may be nil.
	log *slog.Logger
}

// Name implements [engine.Side]. An upload session of one namespace does not open for another.
func (a admission) Name() string {
	if a.caller != nil {
		return Side + "/" + a.caller.Namespace
	}
	return Side
}

// Read implements [engine.Side].
func (admission) Read(r *http.Request) (oci.Route, error) {
	return oci.ParseRoute(r.Method, r.URL.EscapedPath())
}

// Admit implements [engine.Side].
func (a admission) Admit(r *http.Request, operation oci.Route) (engine.Target, error) {
	target, err := a.admit(r, operation)
	a.explain(r.Context(), operation, target, err)
	return target, err
}

// explain logs at debug why a request was admitted or refused.
func (a admission) explain(ctx context.Context, operation oci.Route, target engine.Target, refused error) {
	if a.log == nil || !a.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	entry := httpserver.EntryOf(ctx)
	attrs := []slog.Attr{
		slog.String("door", entry.Side), slog.String("id", entry.ID),
		slog.String("name", operation.Name), slog.String("operation", operation.Operation()),
		slog.String("repository", target.Repository),
		slog.Bool("allow_pull", a.AllowPull), slog.Bool("allow_delete", a.AllowDelete),
		slog.Bool("allow_sub_repositories", a.AllowSubRepositories),
	}
	if a.caller != nil {
		attrs = append(attrs, slog.String("namespace", a.caller.Namespace))
	}
	rule := "the name stands for the repository in the values, and the API server has let the caller in"
	switch {
	case refused != nil:
		a.log.LogAttrs(ctx, slog.LevelDebug, "refused", append(attrs, slog.String("rule", refused.Error()))...)
		return
	case operation.Kind == oci.Ping:
		rule = "the greeting is open to all"
	}
	a.log.LogAttrs(ctx, slog.LevelDebug, "admitted", append(attrs, slog.String("rule", rule))...)
}

func (a admission) admit(r *http.Request, operation oci.Route) (engine.Target, error) {
	if operation.Kind == oci.Ping {
		return engine.Target{}, nil
	}
	repository, err := a.repository(operation.Name)
	if err != nil {
		return engine.Target{}, err
	}
	if err := a.allowed(operation); err != nil {
		return engine.Target{}, err
	}
	content, err := a.separate(operation)
	if err != nil {
		return engine.Target{}, err
	}
	if a.Registry == nil {
		return engine.Target{}, oci.Errorf(oci.Misconfigured,
			"the proxy has no valid repository to push to: ask the operator to set one: %w", a.Problem)
	}
	base := ""
	if a.caller != nil { // the aggregation layer puts no prefix before a Location
		base = a.prefix
	}
	return engine.Target{
		Registry:   a.Registry,
		Repository: repository,
		Prefix:     a.prefix,
		Base:       base,
		Content:    content,
		Scope:      upstream.Push(repository),
		Download:   a.AllowPull,
		Source:     a.source,
		Refused:    refused,
		Callers:    a.callers(r),
	}, nil
}

// callers are whom a transfer is counted for: the API server is the one address of all who use the namespaced API.
func (a admission) callers(r *http.Request) []string {
	if a.caller != nil {
		return []string{a.caller.Namespace, a.caller.User}
	}
	return callersOf(r)
}

func (a admission) repository(name string) (string, error) {
	if name == Name {
		return a.root(), nil
	}
	sub, below := strings.CutPrefix(name, Name+"/")
	switch {
	case below && a.AllowSubRepositories:
		return a.root() + "/" + sub, nil
	case below:
		return "", oci.Errorf(oci.NameUnknown, "the repository is always %q here: names below it exist only when the operator sets allow_sub_repositories", Name)
	default:
		return "", oci.Errorf(oci.NameUnknown, "the repository is always %q here", Name)
	}
}

func (a admission) source(name string) (string, bool) {
	repository, err := a.repository(name)
	return repository, err == nil
}

func (a admission) allowed(operation oci.Route) error {
	switch {
	case operation.Kind == oci.Blob && operation.Method == http.MethodGet && !a.AllowPull:
		return oci.Errorf(oci.Denied, "the proxy refuses downloads of blobs: who may push could then read everybody's source; the operator can set allow_pull")
	case operation.Kind != oci.Upload && operation.Method == http.MethodDelete && !a.AllowDelete:
		return oci.Errorf(oci.Unsupported, "the proxy refuses to delete content; the operator can set allow_delete")
	default:
		return nil
	}
}

// refused answers for the registry when it refuses the operator's credential. It is not the client's: a 401
// would make clients ask their users for a password, and a 5xx make them try again for minutes.
func refused(refusal *upstream.Refusal) *oci.Error {
	if realm, ok := errors.AsType[*upstream.RealmError](refusal); ok {
		return oci.Errorf(oci.Denied, "%s", strange(refusal)).Because(fmt.Errorf("%w; %s", refusal, realm.Remedy(realmsSetting)))
	}
	return oci.Errorf(oci.Denied, "the registry refuses the proxy's own credential, not yours: ask the operator to check the push secret and its rights (%s)", refusal.Reason).
		Because(refusal)
}

// realmsSetting is the value that lists further token servers.
const realmsSetting = "token_realms"

// strange tells clients of a token server that is not shown the credential. Which one it is, the log says.
func strange(refusal *upstream.Refusal) string {
	return refusal.Reason + ": the operator can allow it by " + realmsSetting
}
