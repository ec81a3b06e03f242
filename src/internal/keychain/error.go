// SPDX-License-Identifier: Apache-2.0

package keychain

import "strings"

// Error is a credential that a cloud should have given and did not. Its text is one line: who, which step,
// why and what to do.
type Error struct {
	Cloud  string // whose service, such as "Amazon ECR"
	Host   string // the registry
	Step   string // what was attempted, such as "get an AWS identity"
	Cause  string // what was answered, in one line without ids
	Remedy string // what the operator can do

	// Err is the library's error. Its text may be long and hold request ids: it is for errors.Is and
	// errors.As, not for a log.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	return strings.Join([]string{e.Cloud + ", " + e.Host, e.Step, e.Cause, e.Remedy}, ": ")
}

// Unwrap returns the library's error.
func (e *Error) Unwrap() error { return e.Err }
