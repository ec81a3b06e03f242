// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// New returns the registry. It shows one line for each request when that has ended.
func New(client *apiserver.Client, show func(line string)) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport:      client.RoundTripper(),
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(client.Base(), r) },
		ModifyResponse: func(resp *http.Response) error { return mapBack(client, resp) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if urlErr, ok := errors.AsType[*url.Error](err); ok {
				err = urlErr.Err
			}
			refuse(w, http.StatusBadGateway, "UNAVAILABLE",
				"the local source proxy cannot be reached: "+apiserver.OneLine(err.Error()))
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // the line says it
	}
	return shown(show, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopback(r.Host) || r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
			refuse(w, http.StatusForbidden, "DENIED", "only registry clients on this machine are served, at localhost")
		case !clean(r.URL):
			refuse(w, http.StatusNotFound, "UNSUPPORTED", "only clean paths below /v2/ are served")
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
}

func rewrite(base *url.URL, r *httputil.ProxyRequest) {
	out := r.Out
	out.URL.Scheme, out.URL.Host = base.Scheme, base.Host
	out.URL.Path, out.URL.RawPath = base.Path+r.In.URL.Path, ""
	out.URL.RawQuery = r.In.URL.RawQuery
	out.Host = ""
	// The transport adds the kubeconfig's credential; whatever the client has is for another registry.
	for _, name := range []string{"Authorization", "Cookie", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid"} {
		out.Header.Del(name)
	}
	for name := range out.Header {
		if strings.HasPrefix(name, "Impersonate-") {
			out.Header.Del(name)
		}
	}
}

// clean accepts what is the same to every reader: /v2/ and below, nothing to normalise, and nothing escaped
// but the colon of a digest, which some clients escape.
func clean(u *url.URL) bool {
	p := strings.NewReplacer("%3A", ":", "%3a", ":").Replace(u.EscapedPath())
	return (p == "/v2" || strings.HasPrefix(p, "/v2/")) && p == u.Path && path.Clean(p) == strings.TrimSuffix(p, "/")
}

// loopback accepts the names of this machine, on any port: another name would be a web page's (DNS
// rebinding).
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// mapBack removes the way through the API server from an answer, and makes its errors readable for registry
// clients.
func mapBack(client *apiserver.Client, resp *http.Response) error {
	resp.Header.Del("Www-Authenticate")
	resp.Header.Del("Set-Cookie")
	if resp.Header.Get("Location") != "" {
		target, err := client.Locate(resp)
		if err != nil {
			return err
		}
		resp.Header.Set("Location", target)
	}
	mapLinks(client, resp.Header["Link"])
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	if _, ours := resp.Header[apiserver.RegistryPathHeader]; ours {
		return nil
	}
	return translate(client, resp)
}

// mapLinks maps the addresses of link-values (RFC 8288, 3), behind whatever prefix they are (quirk K6).
func mapLinks(client *apiserver.Client, links []string) {
	for i, link := range links {
		links[i] = regexp.MustCompile(`<[^>]*>`).ReplaceAllStringFunc(link, func(address string) string {
			if u, err := url.Parse(strings.Trim(address, "<>")); err == nil {
				if target, ok := client.Target(u); ok {
					return "<" + target + ">"
				}
			}
			return address
		})
	}
}

// translate puts the API server's error into the form that registry clients print. Its 401 becomes a 403: the
// client would otherwise ask the user for a password that nobody wants.
func translate(client *apiserver.Client, resp *http.Response) error {
	answer := client.ReadError(resp)
	resp.Body.Close()
	code := "UNAVAILABLE"
	switch {
	case answer.Origin == apiserver.Proxy && answer.Code != "":
		code = answer.Code
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		resp.StatusCode, code = http.StatusForbidden, "DENIED"
	case resp.StatusCode == http.StatusNotFound:
		code = "NAME_UNKNOWN"
	}
	resp.Status = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	body := ociError(code, answer.Error())
	if resp.Request.Method == http.MethodHead {
		body = nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.TransferEncoding = nil
	resp.Header.Set("Content-Type", "application/json")
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(ociError(code, message)) // the client is gone when this fails
}

// ociError is the form of distribution-spec 1.1, "Error codes".
func ociError(code, message string) []byte {
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]item{"errors": {{code, message}}})
	if err != nil {
		return nil // two strings always marshal
	}
	return body
}
