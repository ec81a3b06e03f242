// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"io"
	"net/http"
	"strings"
)

// Rule makes a registry deviate for some requests. The newest rule that a request meets is followed.
type Rule struct {
	method, path string
	left         int
	do           func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

// When begins a rule for requests of a method, or of any where it is "", whose path contains a text.
func (reg *Registry) When(method, path string) *Rule {
	rule := &Rule{method: method, path: path, left: -1}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	reg.rules = append(reg.rules, rule)
	return rule
}

// Times ends the rule after n requests.
func (rule *Rule) Times(n int) *Rule {
	rule.left = n
	return rule
}

// Do answers by a function, which can hand the request on to the registry proper.
func (rule *Rule) Do(do func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	rule.do = do
}

// Answer answers with a status, a body, and pairs of header names and values; it does not ask for the
// request's body.
func (rule *Rule) Answer(status int, body string, header ...string) {
	rule.Do(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// AnswerOnceRead is [Rule.Answer] after the body has been read.
func (rule *Rule) AnswerOnceRead(status int, body string, header ...string) {
	rule.Answer(status, body, header...)
	answer := rule.do
	rule.Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, r, next)
	})
}

// BreakOff closes the connection without an answer.
func (rule *Rule) BreakOff() {
	rule.Do(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = conn.Close()
	})
}

// Edit changes the status and header of the registry's own answer.
func (rule *Rule) Edit(edit func(status int, header http.Header) int) {
	rule.Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&editor{ResponseWriter: w, edit: edit}, r)
	})
}

type editor struct {
	http.ResponseWriter
	edit func(int, http.Header) int
	done bool
}

func (e *editor) WriteHeader(status int) {
	if !e.done {
		e.done = true
		status = e.edit(status, e.Header())
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *editor) Write(p []byte) (int, error) {
	if !e.done {
		e.WriteHeader(http.StatusOK)
	}
	return e.ResponseWriter.Write(p)
}

// rule returns what the newest matching rule does, and uses it up.
func (reg *Registry) rule(r *http.Request) func(http.ResponseWriter, *http.Request, http.Handler) {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	for i := len(reg.rules) - 1; i >= 0; i-- {
		rule := reg.rules[i]
		if rule.left == 0 || rule.do == nil || rule.method != "" && rule.method != r.Method || !strings.Contains(r.URL.Path, rule.path) {
			continue
		}
		if rule.left > 0 {
			rule.left--
		}
		return rule.do
	}
	return nil
}
