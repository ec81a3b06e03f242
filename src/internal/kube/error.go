// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// role and account are what the package's manifests bind together for the server.
const (
	role    = "local-source-proxy-manager"
	account = "proxy-manager"
)

// AccessError is a Secret that could not be read or made. Its text is one line.
type AccessError struct {
	// Attempt is "read" or "create".
	Attempt string
	// Namespace and Name are the Secret's.
	Namespace, Name string
	// Err is the API server's answer, or why there was none.
	Err error
}

func (c *Client) accessError(attempt, name string, err error) error {
	return &AccessError{Attempt: attempt, Namespace: c.Namespace, Name: name, Err: err}
}

// Error implements error.
func (e *AccessError) Error() string {
	text := strings.Join(strings.Fields(e.Err.Error()), " ")
	switch {
	case apierrors.IsForbidden(e.Err):
		text = fmt.Sprintf("the API server forbids it: bind the Role %s to the ServiceAccount %s", role, account)
	case apierrors.IsUnauthorized(e.Err):
		text = "the API server does not accept the token of the pod: restart the pod"
	}
	return fmt.Sprintf("%s Secret %s in namespace %s: %s", e.Attempt, e.Name, e.Namespace, text)
}

// Unwrap returns the cause.
func (e *AccessError) Unwrap() error { return e.Err }

// refused reports whether the API server answered that it will not.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }
