// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// CodeForStatus returns the code for an upstream's status where its body names none.
func CodeForStatus(status int) Code {
	switch status {
	case http.StatusUnauthorized:
		return Unauthorized
	case http.StatusForbidden:
		return Denied
	case http.StatusNotFound:
		return NameUnknown
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return Unsupported
	case http.StatusRequestEntityTooLarge:
		return BodyTooLarge
	case http.StatusRequestedRangeNotSatisfiable:
		return RangeInvalid
	case http.StatusRequestHeaderFieldsTooLarge:
		return HeaderTooLarge
	case http.StatusTooManyRequests:
		return TooManyRequests
	case http.StatusGatewayTimeout:
		return UpstreamTimeout
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return Unavailable
	default:
		return Unknown
	}
}

// Error is what the client sees.
type Error struct {
	Code    Code
	Message string
	// Header goes with the answer, such as Allow, Retry-After or WWW-Authenticate.
	Header http.Header

	cause    error
	upstream int
	entries  []ErrorEntry
}

// Errorf makes an error of a code with a message in fmt's format. An operand of %w becomes the cause: it is
// for the log, and its text is part of the message like any other operand's. See [Error.Because] for a cause
// that the client must not read.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// RelayedError makes the error with which an upstream's own refusal is passed on: its status stays, because
// clients act on it, and every error of its list. The first is the error's code and message.
func RelayedError(status int, first ErrorEntry, more ...ErrorEntry) *Error {
	return &Error{Code: first.Code, Message: first.Message, upstream: status,
		entries: append([]ErrorEntry{first}, more...)}
}

// Busy makes the error for a client that should come again after a while.
func Busy(after time.Duration, message string) *Error {
	return RelayedError(http.StatusServiceUnavailable, ErrorEntry{Code: Unavailable, Message: message}).
		With("Retry-After", strconv.Itoa(int(after.Seconds())))
}

// Because adds the cause, which only the log has.
func (e *Error) Because(cause error) *Error {
	with := *e
	with.cause = cause
	return &with
}

// With adds a header to the answer, one line for each value.
func (e *Error) With(name string, values ...string) *Error {
	with := *e
	with.Header = e.Header.Clone()
	if with.Header == nil {
		with.Header = http.Header{}
	}
	with.Header[http.CanonicalHeaderKey(name)] = values
	return &with
}

// Status is the HTTP status of the answer.
func (e *Error) Status() int {
	if e.upstream != 0 {
		return e.upstream
	}
	return e.Code.Status()
}

// maxLogged is how many errors of a list go to the log.
const maxLogged = 5

// Error is the text for the log: codes, messages, and the cause where there is one.
func (e *Error) Error() string {
	var text strings.Builder
	for i, entry := range e.Entries() {
		if i == maxLogged {
			fmt.Fprintf(&text, "; and %d more", len(e.entries)-i)
			break
		}
		if i > 0 {
			text.WriteString("; ")
		}
		fmt.Fprintf(&text, "%s: %s", entry.Code, entry.Message)
	}
	if e.cause != nil {
		fmt.Fprintf(&text, ": %v", e.cause)
	}
	return text.String()
}

// Entries are the errors of the answer's body.
func (e *Error) Entries() []ErrorEntry {
	if len(e.entries) > 0 {
		return e.entries
	}
	return []ErrorEntry{{Code: e.Code, Message: e.Message}}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// ErrorFrom finds the [Error] in a chain of wrapped errors, or makes one that tells the client nothing.
func ErrorFrom(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return (&Error{Code: Unknown, Message: "internal error; the proxy's log has the cause under this request's id"}).Because(err)
}

// ErrorEntry is one error of a response body.
type ErrorEntry struct {
	Code    Code            `json:"code"`
	Message string          `json:"message"`
	Detail  json.RawMessage `json:"detail,omitempty"`
}

// ErrorBody is the response body of every error (distribution-spec, "Error Codes").
type ErrorBody struct {
	Errors []ErrorEntry `json:"errors"`
}

// WriteError answers a request with an error. It must be the first to write.
func WriteError(w http.ResponseWriter, e *Error) error {
	body, err := json.Marshal(ErrorBody{Errors: e.Entries()})
	if err != nil {
		return fmt.Errorf("encode error body: %w", err)
	}
	header := w.Header()
	for name, values := range e.Header {
		header[name] = values
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(e.Status())
	_, err = w.Write(body)
	return err
}
