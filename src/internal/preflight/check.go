// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// ErrFailed is the error when a step has failed; the step has been reported.
var ErrFailed = errors.New("check failed")

// stepTimeout bounds each step.
const stepTimeout = 20 * time.Second

// CheckPush checks the way of a push to a repository, and reports each step as it is done. Unfiled says why the
// settings have no credential for the registry; empty where they have one, or none is configured.
func CheckPush(ctx context.Context, registry *upstream.Registry, repository, unfiled string, report func(diagnosis.Step)) error {
	c := &checker{registry: registry, reach: registry.Reach(), repository: repository, unfiled: unfiled}
	for _, step := range []struct {
		name string
		try  diagnosis.Check
	}{
		{"dns", c.dns},
		{"tcp", c.tcp},
		{"tls", c.tls},
		{"ping", c.ping},
		{"token", c.token},
		{"push scope", c.start},
		{"upload cancel", c.cancel},
	} {
		done := within(ctx, step.name, step.try)
		if report(done); done.Status == diagnosis.Failed {
			return ErrFailed
		}
	}
	return nil
}

func within(ctx context.Context, name string, try diagnosis.Check) diagnosis.Step {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return diagnosis.Do(ctx, name, func(ctx context.Context) (diagnosis.Step, error) {
		step, err := try(ctx)
		if _, busy := errors.AsType[*upstream.Busy](err); busy {
			step.Remedy = "the registry asks to be left alone for a while: try again later"
		}
		return step, err
	})
}

type checker struct {
	registry   *upstream.Registry
	reach      upstream.Reach
	repository string
	unfiled    string
	// shown: a credential is shown to the registry.
	shown  bool
	upload *url.URL
}

func (c *checker) proxied() (diagnosis.Step, bool) {
	if c.reach.Proxy == "" {
		return diagnosis.Step{}, false
	}
	return diagnosis.Step{
		Status: diagnosis.Skipped,
		Detail: "the environment sends requests through the HTTP proxy " + c.reach.Proxy,
	}, true
}

func (c *checker) dns(ctx context.Context) (diagnosis.Step, error) {
	if step, yes := c.proxied(); yes {
		return step, nil
	}
	host, _, err := net.SplitHostPort(c.reach.Host)
	if err != nil {
		return diagnosis.Step{Remedy: "write the registry in repository as host or host:port"}, err
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	return diagnosis.Step{
		Detail: host + " is " + strings.Join(addresses, ", "),
		Remedy: "check the registry's name in repository, and the DNS of the machine or cluster",
	}, err
}

func (c *checker) tcp(ctx context.Context) (diagnosis.Step, error) {
	if step, yes := c.proxied(); yes {
		return step, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.reach.Host)
	if err == nil {
		_ = conn.Close()
	}
	return diagnosis.Step{
		Detail: c.reach.Host + " accepts connections",
		Remedy: "check the port in repository, that the registry runs, and firewalls and network policies on the way (egress)",
	}, err
}

func (c *checker) tls(ctx context.Context) (diagnosis.Step, error) {
	if step, yes := c.proxied(); yes {
		return step, nil
	}
	if c.reach.PlainHTTP {
		return c.plain(ctx)
	}
	conn, err := (&tls.Dialer{Config: c.reach.TLS}).DialContext(ctx, "tcp", c.reach.Host)
	if err == nil {
		state := conn.(*tls.Conn).ConnectionState()
		_ = conn.Close()
		return diagnosis.Step{
			Detail: fmt.Sprintf("%s, certificate issued by %q", tls.VersionName(state.Version), state.PeerCertificates[0].Issuer),
		}, nil
	}
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
		if c.reach.Loopback {
			return diagnosis.Step{
				Status: diagnosis.Skipped,
				Detail: "the registry speaks plain HTTP, which is accepted on loopback",
			}, nil
		}
		return diagnosis.Step{
			Remedy: "the registry does not speak TLS: set plain_http: true if that is meant",
		}, err
	}
	return diagnosis.Step{
		Remedy: "put the certificate of the CA that issued the registry's into ca_cert_data",
	}, err
}

// plain tells a port that speaks TLS, where plain HTTP gets no answer that says so.
func (c *checker) plain(ctx context.Context) (diagnosis.Step, error) {
	ctx, cancel := context.WithTimeout(ctx, plainTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: c.reach.TLS}).DialContext(ctx, "tcp", c.reach.Host)
	if err == nil {
		_ = conn.Close()
	}
	// A certificate that nobody knows is one, too.
	if _, strange := errors.AsType[*tls.CertificateVerificationError](err); err != nil && !strange {
		return diagnosis.Step{Status: diagnosis.Skipped, Detail: "plain_http is set"}, nil
	}
	return diagnosis.Step{Remedy: "remove plain_http, or set the port that speaks plain HTTP"},
		errors.New("plain_http is set, and the registry speaks TLS at this port")
}

// plainTimeout bounds the look for TLS where plain_http is set; a server may wait for the rest of what it takes
// for a request.
const plainTimeout = 3 * time.Second

func (c *checker) ping(ctx context.Context) (diagnosis.Step, error) {
	schemes, err := c.registry.Greet(ctx)
	if errors.Is(err, upstream.ErrPage) {
		return diagnosis.Step{Remedy: "a portal or block page answers in the registry's place: check the host and port in repository, and the HTTP proxy or filter on the way"}, err
	}
	detail := "the registry asks for no credential so far"
	if len(schemes) > 0 {
		detail = "the registry asks for " + strings.Join(schemes, " or ")
	}
	return diagnosis.Step{
		Detail: detail,
		Remedy: "the address answers, but not like a registry at /v2/: check the host and port in repository",
	}, err
}

func (c *checker) token(ctx context.Context) (diagnosis.Step, error) {
	shown, err := c.registry.Authorize(ctx, upstream.Push(c.repository))
	c.shown = shown
	if err == nil && !shown {
		return diagnosis.Step{
			Status: diagnosis.Skipped,
			Detail: cmp.Or(c.unfiled, "no credential is shown: none is configured for this registry, or it asks for none"),
		}, nil
	}
	if realm, ok := errors.AsType[*upstream.RealmError](err); ok {
		return diagnosis.Step{Remedy: realm.Remedy("token_realms")}, err
	}
	if err == nil {
		// A registry that wants the password itself says nothing about it until the upload.
		_, refused, proofErr := c.registry.Credential(ctx)
		if refused && proofErr == nil {
			return diagnosis.Step{Remedy: wrongPassword}, errors.New("the registry refuses the credential, whatever the repository")
		}
	}
	return diagnosis.Step{
		Detail: "there is a credential, and a token where the registry wants one",
		Remedy: "check the user name and password in the push secret or docker config, under the registry's name",
	}, err
}

func (c *checker) start(ctx context.Context) (diagnosis.Step, error) {
	upload, err := StartUpload(ctx, c.registry, c.repository)
	c.upload = upload
	return diagnosis.Step{Detail: "an upload to the repository can be started", Remedy: c.startRemedy(ctx, err)}, err
}

const wrongPassword = "the registry does not know this user name and password: correct them in the push secret or docker config"

func (c *checker) startRemedy(ctx context.Context, err error) string {
	status := 0
	if failure, ok := errors.AsType[*Failure](err); ok {
		status = failure.Status
	}
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	switch {
	case refused && !c.shown && c.unfiled != "":
		return c.unfiled + ": file the credential under this registry's name"
	case refused && !c.shown:
		return "configure a credential for this registry, in the push secret or docker config"
	case status == http.StatusUnauthorized && c.registry.RefusesCredential(ctx):
		return wrongPassword
	case refused:
		return "give the account the right to push to this repository, or configure one that has it"
	case status == http.StatusNotFound:
		return "create the repository: this registry does not do so by itself"
	default:
		return "see what the registry's own log says about the request"
	}
}

func (c *checker) cancel(ctx context.Context) (diagnosis.Step, error) {
	if err := CancelUpload(ctx, c.registry, c.repository, c.upload); err != nil {
		// Not every registry can cancel an upload; it forgets it in time.
		return diagnosis.Step{Status: diagnosis.Skipped, Detail: fmt.Sprint(err)}, nil
	}
	return diagnosis.Step{Detail: "and cancelled again"}, nil
}
