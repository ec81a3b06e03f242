// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Origin is who answered with an error.
type Origin int

// Unknown is a box in between, Cluster the API server, Proxy the proxy or the registry behind it.
const (
	Unknown Origin = iota
	Cluster
	Proxy
)

// Error is an answer of 400 or more.
type Error struct {
	// Status is the HTTP status.
	Status int
	Origin Origin
	// Code is the OCI error code, or the reason in a Kubernetes Status; may be empty.
	Code string
	// Message has all messages of the answer on one line, with the digests that they are about; may be empty.
	Message string
	// RetryAfter is how long the answer asks to wait; zero when it does not.
	RetryAfter time.Duration
	// Namespace and Verb are what the namespaced API was asked for, in the words of RBAC; empty elsewhere.
	Namespace, Verb string
	// Passed says why the namespaced API was passed over, where there seems to be one.
	Passed string
}

// NoAccess is what to do about a 403. Who has no rights cannot see whether the package is there, so it names both
// causes.
const NoAccess = "ask the cluster's operator to list you or a group of yours in rbac_subjects_for_proxy_access, " +
	"or to install the package if it is not in this cluster"

// Error says on one line what happened and what to do.
func (e *Error) Error() string {
	message := e.text()
	switch {
	case e.Origin == Proxy && e.Code != "":
		return fmt.Sprintf("the local source proxy answered %d %s: %s", e.Status, e.Code, message)
	case e.Origin == Proxy:
		return fmt.Sprintf("the local source proxy answered %d: %s", e.Status, message)
	case e.Status != http.StatusUnauthorized && e.Namespace != "":
		return e.ofAPI(message)
	case e.Passed != "":
		return e.Passed + "; without it, " + e.ofService(message)
	default:
		return e.ofService(message)
	}
}

// text is the message, or what the status says.
func (e *Error) text() string { return cmp.Or(e.Message, http.StatusText(e.Status)) }

// nowhere reports that neither of the ways in led anywhere.
func (e *Error) nowhere() bool {
	return e.Passed != "" && e.Origin == Cluster && e.Status == http.StatusNotFound
}

// ofService is the text of an error on the way through the Service.
func (e *Error) ofService(message string) string {
	switch e.Status {
	case http.StatusUnauthorized:
		return fmt.Sprintf("the API server does not accept your credential: %s; log in again, or choose another --context", message)
	case http.StatusForbidden:
		return fmt.Sprintf("you may not use the local source proxy: %s; %s", message, NoAccess)
	case http.StatusNotFound:
		return fmt.Sprintf("the local source proxy is not installed in this cluster: %s; check --context, or ask the cluster's operator", message)
	case http.StatusServiceUnavailable:
		return fmt.Sprintf("no pod of the local source proxy is ready: %s; try again in a minute, then ask the cluster's operator", message)
	default:
		return fmt.Sprintf("the server answered %d: %s", e.Status, message)
	}
}

// ofAPI is the text of an error on the way through the namespaced API.
func (e *Error) ofAPI(message string) string {
	switch e.Status {
	case http.StatusForbidden:
		return fmt.Sprintf("you may not %s sources/proxy in namespace %s: %s; `%s` shows it; %s",
			e.Verb, e.Namespace, message, CanI(e.Verb, e.Namespace), Grant)
	case http.StatusNotFound:
		return fmt.Sprintf("this cluster has no namespaced push API: %s; leave --via out, or ask the cluster's operator for namespaced_api.enabled", message)
	case http.StatusServiceUnavailable:
		return fmt.Sprintf("the API server does not reach the namespaced API: %s; try again in a minute, then ask the cluster's operator to look at the APIService %s",
			message, APIService)
	default:
		return fmt.Sprintf("the API server answered %d for the namespaced API: %s", e.Status, message)
	}
}

// CanI is the command that shows whether a user has a right in a namespace.
func CanI(verb, namespace string) string {
	return fmt.Sprintf("kubectl auth can-i %s %s.%s/%s --subresource=proxy -n %s", verb, Resource, Group,
		SourceName, namespace)
}

// verbOf is RBAC's verb for a request of one resource.
func verbOf(method string) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	default:
		return "get"
	}
}

// Temporary reports whether the same request may succeed later without anybody doing anything.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return e.nowhere()
	}
}

const (
	maxErrorBody    = 256 << 10 // bytes; more is an error page
	maxErrorMessage = 1000      // bytes on the terminal: a dozen digests
)

// ReadError reads an answer of 400 or more on the way that was found. It leaves the body open.
func (c *Client) ReadError(resp *http.Response) *Error {
	if w := c.way.Load(); w != nil {
		return w.readError(resp)
	}
	return ReadError(resp)
}

func (w *way) readError(resp *http.Response) *Error {
	e := ReadError(resp)
	e.Passed = w.passed
	if w.via == ViaAPI {
		e.Namespace, e.Verb = w.namespace, verbOf(resp.Request.Method)
	}
	return e
}

// ReadError reads the answer's body in both forms of an error: the API server's Status (quirk K5) and the OCI
// one. It leaves the body open.
func ReadError(resp *http.Response) *Error {
	e := &Error{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	if _, ours := resp.Header[http.CanonicalHeaderKey(RegistryPathHeader)]; ours {
		e.Origin = Proxy
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what arrived is all there is to say
	var body struct {
		Kind, Reason, Message string
		Errors                []entry
	}
	switch err := json.Unmarshal(raw, &body); {
	case err == nil && body.Kind == "Status":
		e.Origin, e.Code, e.Message = Cluster, body.Reason, body.Message
	case err == nil && len(body.Errors) > 0:
		e.Origin, e.Code, e.Message = Proxy, body.Errors[0].Code, messages(body.Errors)
	case err == nil && body.Message != "":
		e.Message = body.Message
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain"):
		e.Message = string(raw)
	}
	e.Message = OneLine(e.Message)
	return e
}

// entry is one error of a list (distribution-spec, "Error Codes").
type entry struct {
	Code, Message string
	Detail        json.RawMessage
}

// messages puts the errors of a list after each other. A code is named where it is not the first one's.
func messages(entries []entry) string {
	var texts []string
	for _, one := range entries {
		text := one.text()
		if one.Code != entries[0].Code {
			text = strings.TrimSuffix(one.Code+": "+text, ": ")
		}
		if text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}

// text is the message with what the detail adds: the digest that is missing (quirk D11), or words.
func (e entry) text() string {
	var words string
	more := []string{}
	if json.Unmarshal(e.Detail, &words) == nil {
		more = append(more, words)
	} else {
		more = regexp.MustCompile(`sha(?:256|512):[0-9a-f]{64,128}`).FindAllString(string(e.Detail), -1)
	}
	text := e.Message
	for _, one := range more {
		if one != "" && !strings.Contains(text, one) {
			text = strings.TrimPrefix(text+": "+one, ": ")
		}
	}
	return text
}

// OneLine makes text fit on one line of a terminal, without control characters.
func OneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if len(text) > maxErrorMessage {
		text = strings.ToValidUTF8(text[:maxErrorMessage], "") + "…"
	}
	return strings.TrimSpace(text)
}

// retryAfter reads the number of seconds (RFC 9110, 10.2.3); the date form is rare and counts as nothing.
func retryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
