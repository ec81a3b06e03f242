// SPDX-License-Identifier: Apache-2.0

// Package upstream is one registry: its address, trust, credential, tokens and connections.
//
// A [Registry] is an [http.RoundTripper] made of RoundTrippers that each do one thing. They bound those who
// wait, follow redirects, authenticate, refuse web pages, retry, measure, hold a body back, and end what is
// silent. It knows neither side, and not what a request means. A [Call] in the request's context says which
// scope is needed.
//
// The credential goes to one host. It is shown to exactly the configured registry, and traded for tokens
// only at a realm that belongs to the registry or is listed. A redirect leaves it behind. The package
// refuses whatever would break that.
//
// A [Body] can be used by several attempts at one request, as long as no attempt has read from it. A
// request that announces "Expect: 100-continue" is often refused before its body is asked for, and can then
// be sent again with the untouched body. A body that has begun is never sent again: half a blob twice is
// worse than an error.
//
// Source: RFC 9110, section 10.1.1, for the body.
package upstream
