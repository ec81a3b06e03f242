// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// ErrPage is the error for a web page where a registry should have answered: the portal of a network, or
// the page of a box in between, answers 200 to everything (quirk D12).
var ErrPage = errors.New("a web page came in place of the registry's answer")

// sniffed is how much of an answer is looked at to tell what it is, in bytes; [http.DetectContentType]
// takes no more.
const sniffed = 512

// genuine refuses web pages.
type genuine struct{ next http.RoundTripper }

func (t genuine) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode < 200 || resp.StatusCode >= 300 || marked(resp.Header) {
		return resp, err
	}
	page, err := isPage(req, resp)
	if err == nil && page {
		err = fmt.Errorf("%w: %s to %s is answered %d with it", ErrPage, req.Method, req.URL.Host, resp.StatusCode)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// marked reports whether an answer bears what only a registry sends. Quay says text/html of answers that
// are its own.
func marked(header http.Header) bool {
	for _, name := range []string{contentDigest, "Docker-Distribution-Api-Version", "Docker-Upload-Uuid"} {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}

const contentDigest = "Docker-Content-Digest"

// isPage reports whether an answer is a web page. It looks into the answer where its header leaves that
// open.
func isPage(req *http.Request, resp *http.Response) (bool, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	said := kind == "text/html" || kind == "application/xhtml+xml"
	switch {
	case !said && kind != "":
		return false, nil
	case req.Method == http.MethodHead:
		return said, nil
	case resp.Body == http.NoBody:
		return false, nil
	}
	begin, err := io.ReadAll(io.LimitReader(resp.Body, sniffed))
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	resp.Body = rejoined{io.MultiReader(bytes.NewReader(begin), resp.Body), resp.Body}
	text := bytes.TrimSpace(bytes.TrimPrefix(begin, []byte("\ufeff")))
	return said && bytes.HasPrefix(text, []byte("<")) ||
		strings.HasPrefix(http.DetectContentType(text), "text/html"), nil
}

// rejoined is a body of which the beginning has been read.
type rejoined struct {
	io.Reader
	io.Closer
}
