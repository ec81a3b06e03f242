// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// maxReason is how much of a server's own words is repeated, in characters.
const maxReason = 300

// Trial asks the image proxy for images with the license, before anything depends on it.
type Trial struct {
	// Timeout bounds one question.
	Timeout time.Duration
	// Transport reaches the proxy; nil: go-containerregistry's.
	Transport http.RoundTripper
}

// trial is an image, the name that the proxy has for it, and what it said.
type trial struct {
	image   Image
	proxied string
	err     error
}

// Try asks the proxy for each image that is to be pulled from it. One whose own registry did not answer, and
// that the proxy does not know, keeps its name: it is as likely to be public. All others that fail are a
// [Lacking].
func (p *Plan) Try(ctx context.Context, t Trial) error {
	if err := p.settle(); err != nil {
		return err
	}
	trials := p.trials()
	if len(trials) == 0 {
		return nil
	}
	// The first one alone tells whether there is a proxy, and whether it takes the license. Failures count
	// against the customer's address.
	first := &trials[0]
	if first.err = t.one(ctx, p, first.proxied); fatal(first.err) {
		return fmt.Errorf("ask the image proxy %s with the license: %s", p.Proxy.Domain, said(first.err, t.Timeout))
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	var mu sync.Mutex
	for i := range trials[1:] {
		at := &trials[1+i]
		group.Go(func() error {
			err := t.one(ctx, p, at.proxied)
			mu.Lock()
			defer mu.Unlock()
			at.err = err
			return nil
		})
	}
	_ = group.Wait() // no question returns an error
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("ask the image proxy: %w", err)
	}
	var failed []string
	for _, tried := range trials {
		answer := p.Answers[tried.image.Written]
		switch {
		case tried.err == nil:
		case answer.Verdict == Unreachable && unknown(tried.err):
			answer.Kept = true
			answer.Reason += "; the proxy does not know it either"
			p.Answers[tried.image.Written] = answer
		default:
			failed = append(failed, tried.image.Written+" as "+tried.proxied+": "+said(tried.err, t.Timeout))
		}
	}
	p.Tried = true
	if failed == nil {
		return nil
	}
	return &Lacking{failed, len(trials)}
}

// Lacking is the error of a proxy that does not have all images.
type Lacking struct {
	// Images say what fails and why, a line each.
	Images []string
	// Asked is how many the proxy was asked for.
	Asked int
}

// Error implements error.
func (l *Lacking) Error() string {
	return fmt.Sprintf("%d of the application's %d images cannot be pulled from the image proxy; nothing was written",
		len(l.Images), l.Asked)
}

// trials are the images that are renamed, or on the proxy's domain already. What the user's own entries rename
// or pin is asked for as they have it.
func (p *Plan) trials() []trial {
	renamed := p.renamed()
	var all []trial
	for _, image := range p.allImages() {
		switch {
		case image.Host == p.Proxy.Domain:
			all = append(all, trial{image: image, proxied: image.Written})
		case renamed[image.Repository] && !p.licensed(image):
			user := p.users[p.pattern(image.Name)]
			version := strings.TrimPrefix(image.Written, image.Name)
			switch {
			case user.NewName != "":
				continue
			case user.Digest != "":
				version = "@" + user.Digest
			case user.NewTag != "":
				version = ":" + user.NewTag
			}
			all = append(all, trial{image: image, proxied: p.Proxy.Name(image.Name) + version})
		}
	}
	return all
}

func (t Trial) one(ctx context.Context, p *Plan, proxied string) error {
	ref, err := name.ParseReference(proxied)
	if err != nil {
		return errNotAName
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	to := oneHost{host: ref.Context().RegistryStr(), to: t.Transport}
	if to.to == nil {
		to.to = remote.DefaultTransport
	}
	options := []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(to), remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithAuth(&authn.Basic{Username: license.Username, Password: p.LicenseID}),
	}
	err = look(ref, options)
	if answer, ok := errors.AsType[*transport.Error](err); ok && len(answer.Errors) == 0 {
		_, err = remote.Get(ref, options...) // an answer to HEAD has no words
	}
	return err
}

// oneHost keeps the license from every other host, wherever a challenge or a redirect leads.
type oneHost struct {
	host string
	to   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (o oneHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != o.host {
		return nil, errOtherHost
	}
	return o.to.RoundTrip(r)
}

var errOtherHost = errors.New("the proxy sends to another host, which is not shown the license: " +
	"check the domain of the proxy, and its external URL")

// errNotAName is of a name that container runtimes refuse too.
var errNotAName = errors.New("not a valid image name; a registry with a port needs an alias on the proxy, and --alias")

// fatal reports whether an answer is the same for all images: the proxy is not there, or does not know the
// license.
func fatal(err error) bool {
	answer, answered := errors.AsType[*transport.Error](err)
	switch {
	case answered:
		return answer.StatusCode == http.StatusUnauthorized
	default:
		return err != nil && !errors.Is(err, errNotAName) && !errors.Is(err, context.DeadlineExceeded)
	}
}

// unknown reports whether the proxy has no such registry or repository.
func unknown(err error) bool {
	answer, ok := errors.AsType[*transport.Error](err)
	return ok && answer.StatusCode == http.StatusNotFound && slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
		return string(d.Code) == string(oci.NameUnknown)
	})
}

// said is the reason in one line: the proxy's own words where it has some.
func said(err error, timeout time.Duration) string {
	answer, answered := errors.AsType[*transport.Error](err)
	switch {
	case answered && len(answer.Errors) > 0:
		words := string(answer.Errors[0].Code) + ": " + answer.Errors[0].Message
		return fmt.Sprintf("%s (%d)", printable(words), answer.StatusCode)
	case answered:
		return fmt.Sprintf("it answers %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	case errors.Is(err, errOtherHost):
		return errOtherHost.Error()
	case errors.Is(err, errNotAName):
		return errNotAName.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer within " + timeout.String()
	default:
		return cause(err)
	}
}

// printable is what a terminal is shown of another server's words: one line, not for ever, and no escapes.
func printable(words string) string {
	words = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, words)
	return fmt.Sprintf("%.*s", maxReason, strings.Join(strings.Fields(words), " "))
}

// doubts are warnings about images that are taken as private without a registry having said so.
func (p *Plan) doubts() []string {
	var missing, silent, kept []string
	for _, image := range p.Base.Images {
		switch answer := p.Answers[image.Written]; {
		case p.licensed(image):
		case answer.Kept:
			kept = append(kept, image.Written)
		case answer.Verdict == Missing:
			missing = append(missing, image.Written)
		case answer.Verdict == Unreachable:
			silent = append(silent, image.Written)
		}
	}
	var all []string
	if kept != nil {
		all = append(all, "nobody knows whether there is "+strings.Join(kept, ", ")+
			": its registry did not answer, the proxy does not know it, and it keeps its name")
	}
	if p.Tried {
		return all
	}
	const ask = ": taken as private; --verify asks the proxy whether it has them"
	if missing != nil {
		all = append(all, "not found at their registries: "+strings.Join(missing, ", ")+ask)
	}
	if silent != nil {
		all = append(all, "not answered for by their registries: "+strings.Join(silent, ", ")+ask)
	}
	return all
}
