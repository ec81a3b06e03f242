// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// settings are what remedies call the settings of a registry.
type settings struct{ host, plainHTTP, caCertData, tokenRealms string }

// way is the way to a registry, which pushes and pulls have in common.
type way struct {
	registry *upstream.Registry
	reach    upstream.Reach
	settings settings
}

func (w *way) steps() []step {
	return []step{{"dns", w.dns}, {"tcp", w.tcp}, {"tls", w.tls}, {"ping", w.ping}}
}

func (w *way) proxied() (diagnosis.Step, bool) {
	if w.reach.Proxy == "" {
		return diagnosis.Step{}, false
	}
	return diagnosis.Step{
		Status: diagnosis.Skipped,
		Detail: "the environment sends requests through the HTTP proxy " + w.reach.Proxy,
	}, true
}

func (w *way) dns(ctx context.Context) (diagnosis.Step, error) {
	if step, yes := w.proxied(); yes {
		return step, nil
	}
	host, _, err := net.SplitHostPort(w.reach.Host)
	if err != nil {
		return diagnosis.Step{Remedy: "write the registry in " + w.settings.host + " as host or host:port"}, err
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	return diagnosis.Step{
		Detail: host + " is " + strings.Join(addresses, ", "),
		Remedy: "check the registry's name in " + w.settings.host + ", and the DNS of the machine or cluster",
	}, err
}

func (w *way) tcp(ctx context.Context) (diagnosis.Step, error) {
	if step, yes := w.proxied(); yes {
		return step, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.reach.Host)
	if err == nil {
		_ = conn.Close()
	}
	return diagnosis.Step{
		Detail: w.reach.Host + " accepts connections",
		Remedy: "check the port in " + w.settings.host + ", that the registry runs, and firewalls and network policies on the way (egress)",
	}, err
}

func (w *way) tls(ctx context.Context) (diagnosis.Step, error) {
	if step, yes := w.proxied(); yes {
		return step, nil
	}
	if w.reach.PlainHTTP {
		return w.plain(ctx)
	}
	conn, err := (&tls.Dialer{Config: w.reach.TLS}).DialContext(ctx, "tcp", w.reach.Host)
	if err == nil {
		state := conn.(*tls.Conn).ConnectionState()
		_ = conn.Close()
		return diagnosis.Step{
			Detail: fmt.Sprintf("%s, certificate issued by %q", tls.VersionName(state.Version),
				state.PeerCertificates[0].Issuer),
		}, nil
	}
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
		if w.reach.Loopback {
			return diagnosis.Step{
				Status: diagnosis.Skipped,
				Detail: "the registry speaks plain HTTP, which is accepted on loopback",
			}, nil
		}
		return diagnosis.Step{
			Remedy: "the registry does not speak TLS: set " + w.settings.plainHTTP + ": true if that is meant",
		}, err
	}
	return diagnosis.Step{
		Remedy: "put the certificate of the CA that issued the registry's into " + w.settings.caCertData,
	}, err
}

// plain tells a port that speaks TLS, where plain HTTP gets no answer that says so.
func (w *way) plain(ctx context.Context) (diagnosis.Step, error) {
	ctx, cancel := context.WithTimeout(ctx, plainTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: w.reach.TLS}).DialContext(ctx, "tcp", w.reach.Host)
	if err == nil {
		_ = conn.Close()
	}
	// A certificate that nobody knows is one, too.
	if _, strange := errors.AsType[*tls.CertificateVerificationError](err); err != nil && !strange {
		return diagnosis.Step{Status: diagnosis.Skipped, Detail: w.settings.plainHTTP + " is set"}, nil
	}
	return diagnosis.Step{Remedy: "remove " + w.settings.plainHTTP + ", or set the port that speaks plain HTTP"},
		errors.New(w.settings.plainHTTP + " is set, and the registry speaks TLS at this port")
}

// plainTimeout bounds the look for TLS where plain_http is set; a server may wait for the rest of what it takes
// for a request.
const plainTimeout = 3 * time.Second

func (w *way) ping(ctx context.Context) (diagnosis.Step, error) {
	schemes, err := w.registry.Greet(ctx)
	if errors.Is(err, upstream.ErrPage) {
		return diagnosis.Step{Remedy: "a portal or block page answers in the registry's place: check the host and port in " + w.settings.host + ", and the HTTP proxy or filter on the way"}, err
	}
	detail := "the registry asks for no credential so far"
	if len(schemes) > 0 {
		detail = "the registry asks for " + strings.Join(schemes, " or ")
	}
	return diagnosis.Step{
		Detail: detail,
		Remedy: "the address answers, but not like a registry at /v2/: check the host and port in " + w.settings.host,
	}, err
}
