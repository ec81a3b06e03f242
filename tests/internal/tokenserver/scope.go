// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is a resource and the actions on it, as in "repository:demo/source:pull,push". As a right its Name
// may end in "*", which stands for any rest, slashes included. The JSON form is that of a token's "access"
// claim.
type Scope struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// String returns the form that clients write.
func (s Scope) String() string {
	return s.Type + ":" + s.Name + ":" + strings.Join(s.Actions, ",")
}

// ParseScope reads "type:name:action,action". The name may contain colons, as "localhost:5000/demo" does.
func ParseScope(text string) (Scope, error) {
	kind, rest, _ := strings.Cut(text, ":")
	colon := strings.LastIndexByte(rest, ':')
	if kind == "" || colon <= 0 || strings.ContainsAny(text, " \t\r\n") {
		return Scope{}, fmt.Errorf("scope %q: want type:name:action[,action]", text)
	}
	scope := Scope{Type: kind, Name: rest[:colon], Actions: strings.Split(rest[colon+1:], ",")}
	if slices.Contains(scope.Actions, "") {
		return Scope{}, fmt.Errorf("scope %q: an action is empty", text)
	}
	return scope, nil
}

// covers reports whether a right is about the resource of an asked scope.
func (s Scope) covers(asked Scope) bool {
	if s.Type != asked.Type {
		return false
	}
	if prefix, open := strings.CutSuffix(s.Name, "*"); open {
		return strings.HasPrefix(asked.Name, prefix)
	}
	return s.Name == asked.Name
}

// intersect returns what of the asked scopes the rights allow, in the order asked. An action "*" is an
// ordinary one, as the specification has it ("registry:catalog:*").
func intersect(asked, rights []Scope) []Scope {
	granted := []Scope{}
	for _, a := range asked {
		got := Scope{Type: a.Type, Name: a.Name}
		for _, action := range a.Actions {
			allows := func(r Scope) bool { return r.covers(a) && slices.Contains(r.Actions, action) }
			if slices.ContainsFunc(rights, allows) && !slices.Contains(got.Actions, action) {
				got.Actions = append(got.Actions, action)
			}
		}
		if len(got.Actions) > 0 {
			granted = append(granted, got)
		}
	}
	return granted
}
