// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// question is a request to a registry whose answer may be kept.
type question struct {
	kind oci.Kind
	// reference is a tag or digest, or of a list, its query.
	reference string
	key       string
	// anyKey is of what a tag stands for, whoever asked; empty for all else.
	anyKey string
	// shared is the same for those who may be answered alike: a registry may refuse by what a client accepts.
	shared string
	// request has no header that would make the answer one client's own.
	request *http.Request
}

// byDigest reports whether the answer can only change from "it is there" to "it is not".
func (q question) byDigest() bool {
	return q.kind == oci.Blob || q.kind == oci.Manifest && oci.IsDigest(q.reference)
}

// question reads a request. It is false for one that goes to the registry itself.
func (v *View) question(req *http.Request, operation oci.Route) (question, bool) {
	q := question{kind: operation.Kind, reference: operation.Reference}
	switch {
	case q.kind == oci.Manifest, q.kind == oci.Blob && req.Method == http.MethodHead:
	case req.Method == http.MethodGet && (q.kind == oci.Tags || q.kind == oci.Referrers):
		q.reference += "?" + req.URL.RawQuery
	default:
		return q, false
	}
	sum := sha256.Sum256([]byte(strings.Join(accepted(req.Header), ",")))
	accept := hex.EncodeToString(sum[:])
	q.key = v.answerKey(q.kind, q.reference, "")
	if q.kind == oci.Manifest && !q.byDigest() { // some registries convert what a tag stands for
		q.key = v.answerKey(q.kind, q.reference, accept)
		q.anyKey = v.answerKey(q.kind, q.reference, "any")
	}
	q.shared = q.key + " " + accept
	q.request = req.Clone(req.Context())
	q.request.Header = http.Header{}
	if values := req.Header.Values("Accept"); len(values) > 0 {
		q.request.Header["Accept"] = values
	}
	return q, true
}

// accepts reports whether the client takes an answer of this media type (RFC 9110, section 12.5.1).
func (q question) accepts(a *answer) bool {
	all := accepted(q.request.Header)
	if len(all) == 0 {
		return true
	}
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")) // one that is none is accepted by "*/*" alone
	class, _, _ := strings.Cut(kind, "/")
	for _, each := range all {
		switch taken, _, _ := mime.ParseMediaType(each); taken {
		case "*/*", class + "/*", kind:
			return true
		}
	}
	return false
}

// accepted are the media types that a client accepts, in an order that does not depend on the client: some send
// theirs in another one each time.
func accepted(header http.Header) []string {
	var all []string
	for _, values := range header.Values("Accept") {
		for each := range strings.SplitSeq(values, ",") {
			if each = strings.TrimSpace(each); each != "" {
				all = append(all, each)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
