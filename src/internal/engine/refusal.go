// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// maxRefusal is what is read of an error's body, in bytes.
	maxRefusal = 64 << 10
	// maxExcerpt is how much of a text that is not OCI JSON is passed on, in bytes.
	maxExcerpt = 200
)

// refusal turns the registry's error into the client's: always OCI JSON (quirk U10), the status kept because clients act on it, the
// registry's own names taken out of the text. A refusal of the proxy's credential is for the side to explain.
func (e *Engine) refusal(x *exchange, resp *http.Response) error {
	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	discard(resp)
	code, message := readRefusal(content, resp.Header.Get("Content-Type"))
	message = excerpt(x.scrub(message))
	status := resp.StatusCode
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		reason := fmt.Sprintf("the registry answered %d %s", status, http.StatusText(status))
		if message != "" {
			reason += ": " + message
		}
		return &upstream.Refusal{Status: status, Reason: reason}
	case http.StatusNotFound:
		code = x.missing(code)
	}
	if x.route.Kind == oci.Upload && resp.Request.Method == http.MethodPatch {
		if refused := e.chunkRefusal(x, resp, message); refused != nil {
			return refused
		}
	}
	if code == "" || code == oci.Unknown {
		code = oci.CodeForStatus(status)
	}
	answered := fmt.Sprintf("the registry answered %d %s", status, http.StatusText(status))
	relayed := oci.RelayedError(status, code, cmp.Or(message, answered))
	if x.target.Discreet {
		relayed = oci.RelayedError(status, code, answered).Because(errors.New(cmp.Or(message, "no message")))
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		relayed = relayed.With("Retry-After", after)
	}
	return relayed
}

// missing returns the code for what was not found: registries use several, also UNKNOWN (quirk D5).
func (x *exchange) missing(said oci.Code) oci.Code {
	if said == oci.NameUnknown {
		return said
	}
	switch x.route.Kind {
	case oci.Manifest:
		return oci.ManifestUnknown
	case oci.Blob:
		return oci.BlobUnknown
	case oci.Upload:
		return oci.BlobUploadUnknown
	default:
		return oci.NameUnknown
	}
}

// chunkRefusal explains a refused chunk. One that does not begin where the upload stands gets the place where it does stand; one
// that does is refused as a chunk, and repeating it cannot help (quirks U3 and U4).
func (e *Engine) chunkRefusal(x *exchange, resp *http.Response, message string) error {
	start, chunked := chunkStart(resp.Request.Header, x)
	if !chunked && x.record.Offset == 0 || !refusesChunk(resp.StatusCode) {
		return nil
	}
	stands, known := rangeEnd(resp.Header)
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && (known && stands != start || start != x.record.Offset) {
		record := x.record
		if known {
			record.Offset = stands
		}
		outOfOrder := oci.Errorf(oci.RangeInvalid, "the chunk does not begin where the upload stands, at byte %d", record.Offset)
		header := http.Header{}
		if err := e.seal(x, header, record); err != nil {
			return err
		}
		return outOfOrder.With("Location", header.Get("Location")).With("Range", header.Get("Range"))
	}
	said := strings.TrimSuffix(fmt.Sprintf("%d: %s", resp.StatusCode, message), ": ")
	return oci.Errorf(oci.BlobUploadInvalid, "the registry does not take this blob in such chunks (it answered %s): send smaller ones, or the whole blob in one request, that is one PATCH without Content-Range or one PUT", said)
}

// chunkStart returns the first byte of a chunk by its Content-Range, "<first>-<last>".
func chunkStart(header http.Header, x *exchange) (int64, bool) {
	first, _, ok := strings.Cut(strings.TrimPrefix(header.Get("Content-Range"), "bytes "), "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if !ok || err != nil {
		return x.record.Offset, false
	}
	return start, true
}

// readRefusal takes code and message out of an error's body: OCI JSON where it is that, else what there is of readable text.
func readRefusal(content []byte, contentType string) (oci.Code, string) {
	var body oci.ErrorBody
	if err := json.Unmarshal(content, &body); err == nil && len(body.Errors) > 0 {
		first := body.Errors[0]
		return known(first.Code), first.Message
	}
	if strings.Contains(contentType, "json") {
		return "", ""
	}
	return "", text(content)
}

// known keeps a code that clients understand.
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

// text returns the words of a page, such as a load balancer sends.
func text(page []byte) string {
	tokens := html.NewTokenizer(strings.NewReader(string(page)))
	var words []string
	hidden := false
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return strings.Join(words, " ")
		case html.StartTagToken:
			name, _ := tokens.TagName()
			hidden = string(name) == "script" || string(name) == "style"
		case html.EndTagToken:
			hidden = false
		case html.TextToken:
			if !hidden {
				words = append(words, strings.Fields(string(tokens.Text()))...)
			}
		}
	}
}

func excerpt(s string) string {
	if len(s) <= maxExcerpt {
		return strings.ToValidUTF8(s, "")
	}
	return strings.ToValidUTF8(s[:maxExcerpt], "") + "…"
}

// scrub takes the registry's own names out of its words, and puts the client's name in place of the repository's.
func (x *exchange) scrub(message string) string {
	repository := regexp.MustCompile(`(^|[^a-z0-9._/-])(?:the registry/)?` + regexp.QuoteMeta(x.target.Repository) + `($|[^a-z0-9_-])`)
	return repository.ReplaceAllString(x.target.Registry.Scrub(message), "${1}"+x.route.Name+"${2}")
}

// explain turns what went wrong on the way into the client's error. What the network says names the registry, so it is kept as
// the cause, for the log.
func (x *exchange) explain(err error) error {
	if answered, ok := errors.AsType[*oci.Error](err); ok {
		return answered
	}
	if refusal, ok := errors.AsType[*upstream.Refusal](err); ok {
		return x.target.Refused(refusal)
	}
	var timeout net.Error
	switch {
	case x.entry.BodyErr() != nil:
		return oci.Errorf(oci.ClientClosed, "the request's body ended early").Because(x.entry.BodyErr())
	case errors.Is(err, context.Canceled):
		return oci.Errorf(oci.ClientClosed, "the client went away").Because(err)
	case errors.Is(err, session.ErrUnknown):
		return oci.Errorf(oci.BlobUploadUnknown, "no such upload session").Because(err)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return oci.Errorf(oci.UpstreamTimeout, "the registry did not answer in time").Because(err)
	case x.route.Writes() && x.target.Registry.ClosesOnMissingRepository():
		return oci.Errorf(oci.Unavailable, "the registry closed the connection; Amazon ECR does so when the repository does not exist: create it first").Because(err)
	default:
		return oci.Errorf(oci.Unavailable, "the registry cannot be reached, or broke off: try again, then ask the operator").Because(err)
	}
}
