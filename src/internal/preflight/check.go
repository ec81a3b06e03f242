// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
func CheckPush(
	ctx context.Context, registry *upstream.Registry, repository, unfiled string, report func(diagnosis.Step),
) error {
	c := &checker{
		way: way{registry: registry, reach: registry.Reach(),
			settings: settings{"repository", "plain_http", "ca_cert_data", "token_realms"}},
		repository: repository, unfiled: unfiled,
	}
	return walk(ctx, append(c.steps(), step{"token", c.token}, step{"push scope", c.start}, step{"upload cancel", c.cancel}), report)
}

// step is one of a way.
type step struct {
	name string
	try  diagnosis.Check
}

// walk tries steps until one fails, and reports each.
func walk(ctx context.Context, steps []step, report func(diagnosis.Step)) error {
	for _, each := range steps {
		done := within(ctx, each.name, each.try)
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
	way
	repository string
	unfiled    string
	// shown: a credential is shown to the registry.
	shown  bool
	upload *url.URL
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
		return diagnosis.Step{Remedy: realm.Remedy(c.settings.tokenRealms)}, err
	}
	if err == nil {
		// A registry that wants the password itself says nothing about it until the upload.
		if there, standing, _ := c.registry.Standing(ctx); there && standing == upstream.Refused {
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
