// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/html"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// maxDetail is the longest detail of an error that is passed on, in bytes.
	maxDetail = 16 << 10
	// maxMessage is how much of one message of an error is passed on, in bytes.
	maxMessage = 1 << 10
	// maxExcerpt is how much of a text that is not OCI JSON is passed on, in bytes.
	maxExcerpt = 200
)

// refusal turns the registry's error into the client's: always OCI JSON (quirk U10), the status kept because
// clients act on it, the registry's own names taken out of the text. A refusal of the proxy's credential is
// for the side to explain.
func (x *exchange) refusal(resp *http.Response) error {
	entries := x.readRefusal(resp)
	status, first := resp.StatusCode, entries[0]
	answered := fmt.Sprintf("the registry answered %d %s", status, http.StatusText(status))
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &upstream.Refusal{Status: status, Reason: strings.TrimSuffix(answered+": "+first.Message, ": ")}
	}
	if x.route.Kind == oci.Upload {
		if refused := x.chunkRefusal(resp, known(first.Code), first.Message); refused != nil {
			return refused
		}
	}
	for i := range entries {
		entries[i].Code = x.code(entries[i].Code, status)
		entries[i].Message = cmp.Or(entries[i].Message, answered)
	}
	relayed := oci.RelayedError(status, entries[0], entries[1:]...)
	if x.target.Discreet {
		code := x.code(known(first.Code), status)
		relayed = oci.RelayedError(status, oci.ErrorEntry{Code: code, Message: answered}).Because(relayed)
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		relayed = relayed.With("Retry-After", after)
	}
	if length, ok := unsatisfied(resp); ok {
		relayed = relayed.With("Content-Range", length)
	}
	return relayed
}

// unsatisfied returns what a 416 says of a blob's length (RFC 9110, section 14.4).
func unsatisfied(resp *http.Response) (string, bool) {
	said := resp.Header.Get("Content-Range")
	length, found := strings.CutPrefix(said, "bytes */")
	_, err := strconv.ParseUint(length, 10, 64)
	return said, found && err == nil && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable
}

// code returns the registry's own code, or the one for the status where it has none: not found comes as
// UNKNOWN, too (quirk D5).
func (x *exchange) code(said oci.Code, status int) oci.Code {
	switch {
	case said != "" && said != oci.Unknown:
		return said
	case status == http.StatusNotFound:
		return x.route.Missing()
	default:
		return oci.CodeForStatus(status)
	}
}

// readRefusal reads the errors of a body, at least one: OCI JSON where it is that, else what there is of
// readable text. The registry's own names are taken out of it.
func (x *exchange) readRefusal(resp *http.Response) []oci.ErrorEntry {
	content := said(resp)
	if entries := entriesOf(content); len(entries) > 0 {
		scrub := x.scrubber()
		for i, entry := range entries {
			entries[i] = oci.ErrorEntry{
				Code: wellFormed(entry.Code), Message: excerpt(scrub(entry.Message), maxMessage),
				Detail: scrubbed(entry.Detail, scrub),
			}
		}
		return entries
	}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		return make([]oci.ErrorEntry, 1)
	}
	return []oci.ErrorEntry{{Message: excerpt(x.scrubber()(text(content)), maxExcerpt)}}
}

// wellFormed keeps a code that looks like one (distribution-spec, "Error Codes").
func wellFormed(code oci.Code) oci.Code {
	if len(code) > 64 || strings.Trim(string(code), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return ""
	}
	return code
}

// scrubbed is the detail of an error, of any form, with every text in it scrubbed.
func scrubbed(detail json.RawMessage, scrub func(string) string) json.RawMessage {
	if len(detail) > maxDetail {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(detail))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || value == nil {
		return nil
	}
	clean, err := json.Marshal(each(value, scrub))
	if err != nil {
		return nil
	}
	return clean
}

// each maps every text of a JSON value.
func each(value any, change func(string) string) any {
	switch value := value.(type) {
	case string:
		return change(value)
	case []any:
		for i := range value {
			value[i] = each(value[i], change)
		}
	case map[string]any:
		changed := make(map[string]any, len(value))
		for key, field := range value {
			changed[change(key)] = each(field, change)
		}
		return changed
	}
	return value
}

// known keeps a code of the specification: an error that names no registry has no code of its own.
func known(code oci.Code) oci.Code {
	switch code {
	case oci.BlobUnknown, oci.BlobUploadInvalid, oci.BlobUploadUnknown, oci.DigestInvalid, oci.ManifestBlobUnknown,
		oci.ManifestInvalid, oci.ManifestUnknown, oci.NameInvalid, oci.NameUnknown, oci.SizeInvalid,
		oci.Unauthorized, oci.Denied, oci.Unsupported, oci.TooManyRequests, oci.RangeInvalid, oci.Unavailable:
		return code
	default:
		return ""
	}
}

// text returns the first words of a page, such as a load balancer sends.
func text(page []byte) string {
	tokens := html.NewTokenizer(bytes.NewReader(page))
	var words []string
	hidden := false
	for {
		next := tokens.Next()
		if len(words) > maxExcerpt {
			next = html.ErrorToken
		}
		switch next {
		case html.ErrorToken:
			return strings.Join(words, " ")
		case html.StartTagToken:
			name, _ := tokens.TagName()
			hidden = string(name) == "script" || string(name) == "style"
		case html.EndTagToken:
			hidden = false
		case html.TextToken:
			if !hidden {
				for word := range strings.FieldsSeq(string(tokens.Text())) {
					words = append(words, word)
					if len(words) > maxExcerpt {
						break
					}
				}
			}
		}
	}
}

func excerpt(s string, limit int) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "")
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// scrubber takes the registry's own names out of its words, and puts the client's name in place of the
// repository's. What would steer the terminal that prints the words becomes spaces.
func (x *exchange) scrubber() func(string) string {
	repository := regexp.MustCompile(`(^|[^a-z0-9._/-])(?:the registry/)?` + regexp.QuoteMeta(x.target.Repository) + `($|[^a-z0-9_-])`)
	own := x.route.Name + " " + x.route.Reference
	return func(message string) string {
		message = strings.Map(printable, message)
		message = repository.ReplaceAllString(x.target.Registry.Scrub(message), "${1}"+x.route.Name+"${2}")
		return withoutHosts(message, own)
	}
}

func printable(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Cf) {
		return ' '
	}
	return r
}

// explain turns what went wrong on the way into the client's error. What the network says names the registry,
// so it is kept as the cause, for the log.
func (x *exchange) explain(err error) error {
	if answered, ok := errors.AsType[*oci.Error](err); ok {
		return answered
	}
	if refusal, ok := errors.AsType[*upstream.Refusal](err); ok {
		return x.target.Refused(refusal)
	}
	if busy, ok := errors.AsType[*upstream.Busy](err); ok {
		return x.busy(busy)
	}
	var timeout net.Error
	switch {
	case errors.Is(x.entry.BodyErr(), httpserver.ErrStalled):
		return oci.Errorf(oci.RequestTimeout,
			"nothing of the request's body arrived for a minute: send it again").Because(x.entry.BodyErr())
	case x.entry.BodyErr() != nil:
		return oci.Errorf(oci.ClientClosed, "the request's body ended early").Because(x.entry.BodyErr())
	case errors.Is(err, context.Canceled):
		return oci.Errorf(oci.ClientClosed, "the client went away").Because(err)
	case errors.Is(err, session.ErrUnknown):
		return oci.Errorf(oci.BlobUploadUnknown, "no such upload session").Because(err)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return oci.Errorf(oci.UpstreamTimeout, "the registry did not answer in time").Because(err)
	case errors.Is(err, upstream.ErrPage):
		return oci.Errorf(oci.Unavailable, "a web page answers in the registry's place, such as a portal or block page; the operator has to look at the registry's address and at what is between").Because(err)
	case errors.Is(err, upstream.ErrRedirect):
		return oci.Errorf(oci.Unavailable, "the registry answered with a redirect to a place where nothing is fetched from; the proxy's log says which").Because(err)
	case x.route.Writes() && x.target.Registry.ClosesOnMissingRepository():
		return oci.Errorf(oci.Unavailable, "the registry closed the connection; Amazon ECR does so when the repository does not exist: create it first").Because(err)
	default:
		return oci.Errorf(oci.Unavailable,
			"the registry cannot be reached, or broke off: try again, then ask the operator").Because(err)
	}
}

// busy passes on that the registry, or its token server, wants to be left alone for a while.
func (x *exchange) busy(busy *upstream.Busy) error {
	answered := oci.RelayedError(busy.Status, oci.ErrorEntry{
		Code: oci.CodeForStatus(busy.Status), Message: "the registry has too much to do; try again later",
	}).Because(busy)
	if busy.RetryAfter != "" {
		answered = answered.With("Retry-After", busy.RetryAfter)
	}
	return answered
}
