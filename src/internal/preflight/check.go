// SPDX-License-Identifier: Apache-2.0

package preflight

import (
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

// CheckPush checks the way of a push to a repository, and reports each step as it is done. filed are the hosts
// that the docker config has credentials for.
func CheckPush(ctx context.Context, registry *upstream.Registry, repository string, filed []string, report func(diagnosis.Step)) error {
	c := &checker{registry: registry, reach: registry.Reach(), repository: repository, filed: filed}
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
		if done.Status == diagnosis.Failed && c.tlsAtPlain {
			done.Remedy = "plain_http is set, and the port speaks TLS: remove plain_http"
		}
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
	filed      []string
	upload     *url.URL
	// tlsAtPlain says that the port speaks TLS although plain_http is set. That alone is no failure: a port may
	// speak both.
	tlsAtPlain bool
	// anonymous says that there is no credential for the registry.
	anonymous bool
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
		c.tlsAtPlain = c.speaksTLS(ctx)
		return diagnosis.Step{Status: diagnosis.Skipped, Detail: "plain_http is set"}, nil
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

func (c *checker) start(ctx context.Context) (diagnosis.Step, error) {
	upload, err := StartUpload(ctx, c.registry, c.repository)
	c.upload = upload
	return diagnosis.Step{Detail: "an upload to the repository can be started", Remedy: c.startRemedy(err)}, err
}

func (c *checker) startRemedy(err error) string {
	status := 0
	if failure, ok := errors.AsType[*Failure](err); ok {
		status = failure.Status
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		if c.anonymous {
			return c.missing()
		}
		return rightToPush
	case http.StatusNotFound:
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
