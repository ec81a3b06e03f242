// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"slices"
	"strings"
)

// Call says what a request is, to those on its way that cannot tell from its URL.
type Call struct {
	// Operation is the label in metrics.
	Operation string
	// Scopes that a token needs.
	Scopes []Scope
	// Download: it is the content of a blob that may be read here, and that registries may keep elsewhere.
	Download bool
	// Commits: the registry has to put a blob together before it answers, which may take it minutes.
	Commits bool
}

// repository is the one that the call is about; "" without one.
func (c Call) repository() string {
	if len(c.Scopes) == 0 {
		return ""
	}
	return c.Scopes[0].Repository
}

// Scope is the right to act on one repository (distribution token specification, "Resource Scope").
type Scope struct {
	Repository string
	// Actions such as "pull" and "push".
	Actions []string
}

// String is the form in which a token server is asked for the scope.
func (s Scope) String() string {
	return "repository:" + s.Repository + ":" + strings.Join(s.Actions, ",")
}

// Push is what a client needs to upload. Never push alone (quirk A4).
func Push(repository string) Scope { return Scope{repository, []string{"pull", "push"}} }

// Pull is what a client needs to download.
func Pull(repository string) Scope { return Scope{repository, []string{"pull"}} }

type callKey struct{}

// WithCall tells the RoundTripper what a request is.
func WithCall(ctx context.Context, call Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

func callOf(ctx context.Context) Call {
	call, _ := ctx.Value(callKey{}).(Call)
	return call
}

// scopeStrings returns the scopes of a call as a token server wants them, with what a challenge asks for
// besides. A challenge may add actions on repositories that the call is about (distribution wants "delete"
// for a deletion, which must not be asked for unasked: quirk A4), and scopes of other kinds, but no other
// repository (quirk A2).
func scopeStrings(call Call, asked string) []string {
	scopes := make([]Scope, len(call.Scopes))
	for i, s := range call.Scopes {
		scopes[i] = Scope{s.Repository, slices.Clone(s.Actions)}
	}
	var others []string
	for want := range strings.FieldsSeq(asked) {
		kind, rest, _ := strings.Cut(want, ":")
		last := strings.LastIndex(rest, ":")
		if last < 0 {
			continue
		}
		repository, actions := rest[:last], strings.Split(rest[last+1:], ",")
		if kind != "repository" {
			others = append(others, want)
			continue
		}
		for i := range scopes {
			if scopes[i].Repository != repository {
				continue
			}
			for _, action := range actions {
				if action != "" && !slices.Contains(scopes[i].Actions, action) {
					scopes[i].Actions = append(scopes[i].Actions, action)
				}
			}
		}
	}
	all := make([]string, 0, len(scopes)+len(others))
	for _, s := range scopes {
		all = append(all, s.String())
	}
	return append(all, others...)
}
