// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Binding is what the package's manifests bind together for a server, for messages.
type Binding struct {
	// Role is the server's, Account its ServiceAccount.
	Role, Account string
	// Secrets is the package's value that lists the Secrets that the Role lets it read; empty where there is
	// none.
	Secrets string
}

// String says what to do where something is forbidden.
func (b Binding) String() string {
	return fmt.Sprintf("bind the Role %s to the ServiceAccount %s", b.Role, b.Account)
}

// secretKind is how messages call a Secret.
const secretKind = "Secret"

// AccessError is something that could not be read or written. Its text is one line.
type AccessError struct {
	// Attempt is what was done with it, such as "write"; empty: it was read.
	Attempt string
	// Kind is "Secret", or a custom resource's in the plural. Name is empty for all of a kind.
	// Namespace is empty for what belongs to none.
	Kind, Namespace, Name string
	// Err is the API server's answer, or why there was none.
	Err error

	binding Binding
}

func (c *Client) accessError(kind, name string, err error) *AccessError {
	return &AccessError{Kind: kind, Namespace: c.Namespace, Name: name, Err: err, binding: c.Binding}
}

// during says what was attempted.
func (e *AccessError) during(attempt string) error {
	e.Attempt = attempt
	return e
}

// Error implements error.
func (e *AccessError) Error() string {
	text := strings.Join(strings.Fields(e.Err.Error()), " ")
	switch {
	case apierrors.IsForbidden(e.Err) && e.Kind == secretKind && e.binding.Secrets != "":
		text = fmt.Sprintf("the API server forbids it: add it to %s", e.binding.Secrets)
	case apierrors.IsForbidden(e.Err):
		text = "the API server forbids it: " + e.binding.String()
	case apierrors.IsUnauthorized(e.Err):
		text = "the API server does not accept the token of the pod: restart the pod"
	case apierrors.IsNotFound(e.Err) && e.Name == "":
		text = "the cluster does not know them: install the package with image_proxy.enabled, which brings their definitions (see kubectl get crd)"
	}
	what := e.Kind
	if e.Name != "" {
		what += " " + e.Name
	}
	if e.Namespace != "" {
		what += " in namespace " + e.Namespace
	}
	return fmt.Sprintf("%s %s: %s", cmp.Or(e.Attempt, "read"), what, text)
}

// Unwrap returns the cause.
func (e *AccessError) Unwrap() error { return e.Err }

// refused reports whether the API server answered that it will not.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }
