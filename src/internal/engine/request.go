// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// maxPage is the largest page of tags that every registry serves; ECR refuses more (quirk D5).
const maxPage = 1000

// prepare works out where a request goes on the registry, and refuses what must not go there.
func (x *exchange) prepare(r *http.Request) error {
	x.call = upstream.Call{
		Operation: x.route.Operation(), Scopes: []upstream.Scope{x.target.Scope},
		Download: x.route.Kind == oci.Blob && x.target.Download, Commits: x.commits(r),
	}
	path, query, err := x.locate(r)
	if err != nil {
		return err
	}
	x.address, err = x.at(r.Context(), path+"?"+query)
	return err
}

// commits reports whether the request makes the registry put a whole blob together.
func (x *exchange) commits(r *http.Request) bool {
	return x.route.Kind == oci.Upload && r.Method == http.MethodPut || x.route.Kind == oci.UploadStart && r.URL.Query().Has("digest")
}

// locate returns the escaped path and the raw query of the request on the registry.
func (x *exchange) locate(r *http.Request) (path, query string, err error) {
	repository := "/v2/" + x.target.Repository
	switch x.route.Kind {
	case oci.Manifest:
		return repository + "/manifests/" + x.route.Reference, url.Values{"tag": x.tags}.Encode(), nil
	case oci.Blob:
		return repository + "/blobs/" + x.route.Reference, "", nil
	case oci.Referrers:
		return repository + "/referrers/" + x.route.Reference, r.URL.RawQuery, nil
	case oci.Tags:
		return repository + "/tags/list", capPage(r.URL.RawQuery), nil
	case oci.UploadStart:
		query, err := x.startQuery(r.URL.Query())
		return repository + "/blobs/uploads/", query, err
	default:
		return x.continued(r)
	}
}

// furtherTags returns the tags that a manifest is to get by its query (quirk U13). Each has to be one that the
// caller may write, and with this content.
func (x *exchange) furtherTags(r *http.Request, side Side) ([]string, error) {
	if x.route.Kind != oci.Manifest || r.Method != http.MethodPut {
		return nil, nil
	}
	named := r.URL.Query()["tag"]
	for _, tag := range named {
		if !oci.IsTag(tag) {
			return nil, oci.ErrTag()
		}
		one := x.route
		one.Reference = tag
		target, err := side.Admit(r, one)
		if err != nil {
			return nil, err
		}
		switch want := target.Content; {
		case x.target.Content == "":
			x.target.Content = want
		case want != "" && want != x.target.Content:
			return nil, errContent(want)
		}
	}
	return named, nil
}

// capPage lowers n to what every registry takes. All else stays: the rest of the query is the registry's own
// (quirk D4).
func capPage(rawQuery string) string {
	params := strings.Split(rawQuery, "&")
	for i, param := range params {
		// A number that is too large for ParseUint comes back as the largest there is.
		if n, _ := strconv.ParseUint(strings.TrimPrefix(param, "n="), 10, 64); strings.HasPrefix(param, "n=") && n > maxPage {
			params[i] = "n=" + strconv.Itoa(maxPage)
		}
	}
	return strings.Join(params, "&")
}

// startQuery keeps what starts an upload: the digest of one in a single request, or a mount whose source is
// behind this side. A mount from elsewhere is dropped, and becomes a plain upload.
func (x *exchange) startQuery(client url.Values) (string, error) {
	query := url.Values{}
	if digest := client.Get("digest"); digest != "" {
		if !oci.IsDigest(digest) {
			return "", oci.Errorf(oci.DigestInvalid,
				"the digest in the query is not valid: it must look like sha256:<64 hex digits>")
		}
		query.Set("digest", digest)
		x.digest = digest
	}
	if algorithm := client.Get("digest-algorithm"); client.Has("digest-algorithm") {
		if !oci.IsAlgorithm(algorithm) {
			return "", oci.Errorf(oci.DigestInvalid, "the digest algorithm is not valid: it is sha256 or sha512, for instance")
		}
		x.algorithm = url.Values{"digest-algorithm": {algorithm}}
		query["digest-algorithm"] = x.algorithm["digest-algorithm"]
	}
	mount := client.Get("mount")
	if !client.Has("mount") {
		return query.Encode(), nil
	}
	if !oci.IsDigest(mount) {
		return "", oci.Errorf(oci.DigestInvalid, "the digest to mount is not valid: it must look like sha256:<64 hex digits>")
	}
	x.digest = mount
	// A mount without "from" would search repositories that are not behind this side (quirk D8).
	if source, ok := x.target.Source(client.Get("from")); ok {
		query.Set("mount", mount)
		query.Set("from", source)
		if source != x.target.Repository {
			x.call.Scopes = append(x.call.Scopes, upstream.Pull(source))
		}
	}
	return query.Encode(), nil
}

// continued finds the upload session that a token stands for. Nothing is asked of the registry with a token
// that does not open: a client could otherwise aim the operator's credential at any URL.
func (x *exchange) continued(r *http.Request) (path, query string, err error) {
	record, err := x.sessions.Open(x.owner(), x.route.Reference)
	if err == nil && (record.Registry != x.target.Registry.Host() || record.Repository != x.target.Repository) {
		err = fmt.Errorf("%w: it was started in another repository than the one that is configured now", session.ErrUnknown)
	}
	if err != nil {
		return "", "", oci.Errorf(oci.BlobUploadUnknown,
			"no such upload session: it has expired, or was never started here; start the upload again").Because(err)
	}
	x.record = record
	path, query, _ = strings.Cut(record.Location, "?")
	if r.Method == http.MethodPut {
		digest := r.URL.Query().Get("digest")
		if !oci.IsDigest(digest) {
			return "", "", oci.Errorf(oci.DigestInvalid, "finishing an upload needs ?digest=sha256:<64 hex digits>")
		}
		x.digest = digest
		if query != "" {
			query += "&"
		}
		query += "digest=" + url.QueryEscape(digest)
	}
	return path, query, nil
}

func (x *exchange) owner() session.Owner { return session.Owner{Side: x.side, Name: x.route.Name} }

// passed are the client's headers that are the registry's business. Authorization, cookies and whatever else
// a client sends stay here.
func passed() []string {
	return []string{"Accept", "Content-Type", "Content-Range", "Range", "If-Range", "If-Match", "If-None-Match",
		"If-Modified-Since", "If-Unmodified-Since"}
}

// rewrite makes the registry's request out of the client's.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	pr.Out.URL, pr.Out.Host = x.address, ""
	pr.Out.Header, pr.Out.Trailer = http.Header{}, nil
	for _, name := range passed() {
		if values := pr.In.Header.Values(name); len(values) > 0 {
			pr.Out.Header[name] = values
		}
	}
	switch pr.In.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete: // a body means nothing, and a registry might wait for the rest of it
		pr.Out.Body, pr.Out.ContentLength = http.NoBody, 0
	}
	if pr.Out.Body == nil || pr.Out.Body == http.NoBody {
		return
	}
	// A 401 then comes before the body is spent, and the same body goes with the next attempt.
	pr.Out.Header.Set("Expect", "100-continue")
	var body io.Reader = pr.Out.Body
	if x.route.Kind == oci.Manifest {
		x.pushed = newDigester(pr.Out.Body, x.route.Reference)
		body = x.pushed
		if want := x.target.Content; want != "" {
			body = newVerified(x.pushed, want, errContent(want))
		}
	}
	pr.Out.Body = upstream.NewBody(body)
}
