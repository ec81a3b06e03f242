// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// TestRetries: a request without a body is made up to four times when the registry is briefly away.
func TestRetries(t *testing.T) {
	for _, test := range []struct{ status, fails, want, sent int }{
		{502, 3, 200, 4}, {503, 1, 200, 2}, {504, 2, 200, 3}, {503, 9, 503, 4}, {500, 1, 500, 1}, {429, 1, 429, 1}, {404, 1, 404, 1}, {0, 3, 200, 0}, {0, 99, 0, 0},
	} {
		r, double, network := world(t, upstream.Config{})
		rule := double.When("GET", "/tags/list").Times(test.fails)
		if test.status == 0 {
			rule.BreakOff()
		} else {
			rule.Answer(test.status, "")
		}
		if status, err := send(t.Context(), r, "GET", "/tags/list", nil); status != test.want {
			t.Errorf("%+v: status %d, %v", test, status, err)
		}
		if test.sent != 0 { // net/http repeats once more by itself on a connection that it used before
			network.Count(test.sent, registrytest.Sent("GET", "/tags/list"))
		}
	}
}

// TestNoBodyIsReplayed: one that has begun is sent once, whatever happens; one that was not asked for can be
// sent again.
func TestNoBodyIsReplayed(t *testing.T) {
	r, double, network := world(t, upstream.Config{})
	double.When("PATCH", "").Do(func(_ http.ResponseWriter, req *http.Request, _ http.Handler) {
		_, _ = req.Body.Read(make([]byte, 3))
		panic(http.ErrAbortHandler)
	})
	if _, err := send(t.Context(), r, "PATCH", "/blobs/uploads/x", strings.NewReader("the layer")); err == nil {
		t.Error("an upload that broke off was answered")
	}
	network.Count(1, registrytest.Sent("PATCH", ""))
	double.When("PATCH", "").AnswerOnceRead(503, "")
	if status, err := send(t.Context(), r, "PATCH", "/blobs/uploads/x", strings.NewReader("the layer")); status != 503 {
		t.Errorf("status %d, %v", status, err)
	}
	network.Count(2, registrytest.Sent("PATCH", ""))
	network.Forget()
	double.When("PATCH", "").Times(2).BreakOff()
	double.When("PATCH", "/y").AnswerOnceRead(202, "")
	double.When("PATCH", "/y").Times(2).BreakOff()
	if status, err := send(t.Context(), r, "PATCH", "/blobs/uploads/y", strings.NewReader("the layer")); status != 202 {
		t.Errorf("status %d, %v", status, err)
	}
	network.Count(1, registrytest.Mentions("the layer"))
}

// TestALeavingClientEndsRetries at once.
func TestALeavingClientEndsRetries(t *testing.T) {
	r, double, network := world(t, upstream.Config{})
	ctx, leave := context.WithCancel(t.Context())
	double.When("GET", "/tags/list").Do(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		leave()
		w.WriteHeader(503)
	})
	if _, err := send(ctx, r, "GET", "/tags/list", nil); !errors.Is(err, context.Canceled) {
		t.Logf("the error is %v", err) // the answer may have been quicker
	}
	network.Count(1, registrytest.Sent("GET", "/tags/list"))
}

// TestTrust: the system's roots and ca_cert_data, and nothing else.
func TestTrust(t *testing.T) {
	network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	network.Serve(proxytest.Host, double)
	for _, ca := range [][]byte{nil, network.CA(), append(registrytest.NewNetwork(t).CA(), network.CA()...), registrytest.NewNetwork(t).CA()} {
		r, err := upstream.New(upstream.Config{Host: proxytest.Host, CACertData: ca, Dial: network.Dial, RetryDelay: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		_, err = r.Greet(t.Context())
		if trusted := strings.Contains(string(ca), string(network.CA())); trusted != (err == nil) {
			t.Errorf("with %d bytes of CA data: %v", len(ca), err)
		}
	}
	if _, err := upstream.New(upstream.Config{Host: proxytest.Host, CACertData: []byte("no certificate")}); !errors.Is(err, upstream.ErrCACertData) {
		t.Errorf("CA data without a certificate: %v", err)
	}
}

// TestPlainHTTP is spoken where that is explicit, and on loopback, and nowhere else: a password would travel
// in clear text.
func TestPlainHTTP(t *testing.T) {
	for _, test := range []struct {
		host  string
		plain bool
		ok    bool
	}{
		{"registry.example.com:5000", true, true}, {"registry.example.com:5000", false, false}, {"10.0.0.7:5000", false, false},
		{"127.0.0.1:5000", false, true}, {"localhost:5000", false, true}, {"[::1]:5000", false, true}, {"registry.localhost:5000", false, true},
		{"127.0.0.1.example.com:5000", false, false}, {"localhost.example.com:5000", false, false},
	} {
		network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
		double.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
		network.ServePlain(test.host, double)
		r, err := upstream.New(upstream.Config{Host: test.host, PlainHTTP: test.plain, Dial: network.Dial, RetryDelay: 1, Keychain: proxytest.Robot()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		status, err := send(t.Context(), r, "GET", "/tags/list", nil)
		if (status == 200) != test.ok {
			t.Errorf("%+v: status %d, %v", test, status, err)
		}
		if !test.ok {
			network.None()
		}
	}
}

// TestLoopbackPrefersTLS: plain HTTP is what is left when the registry there speaks no TLS.
func TestLoopbackPrefersTLS(t *testing.T) {
	network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	network.Serve("127.0.0.1:5000", double)
	r, err := upstream.New(upstream.Config{Host: "127.0.0.1:5000", CACertData: network.CA(), Dial: network.Dial, RetryDelay: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if u, err := r.URL(t.Context(), "/v2/", ""); err != nil || u.Scheme != "https" {
		t.Errorf("the registry is at %v, %v", u, err)
	}
}

// TestAClientThatDisappears in mid-body ends the request to the registry at once; TestMain looks for what is
// left behind.
func TestAClientThatDisappears(t *testing.T) {
	for name, leave := range map[string]func(cancel context.CancelFunc, body *io.PipeWriter){
		"by its context": func(cancel context.CancelFunc, _ *io.PipeWriter) { cancel() },
		"by its body":    func(_ context.CancelFunc, body *io.PipeWriter) { _ = body.CloseWithError(io.ErrUnexpectedEOF) },
		"both at one time": func(cancel context.CancelFunc, body *io.PipeWriter) {
			cancel()
			_ = body.CloseWithError(io.ErrClosedPipe)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &observer{}
			r, double, _ := world(t, upstream.Config{Observer: o})
			begun, ended := make(chan struct{}), make(chan error, 1)
			double.When("PATCH", "").Do(func(_ http.ResponseWriter, req *http.Request, _ http.Handler) {
				_, _ = req.Body.Read(make([]byte, 3))
				close(begun)
				_, err := io.Copy(io.Discard, req.Body)
				defer panic(http.ErrAbortHandler) // a server that never sees its client again does not answer
				ended <- err
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			reader, writer := io.Pipe()
			defer reader.Close()
			answered := make(chan error)
			go func() {
				_, err := send(ctx, r, "PATCH", "/blobs/uploads/x", reader)
				answered <- err
			}()
			_, _ = writer.Write([]byte("the beginning"))
			<-begun
			leave(cancel, writer)
			if err := <-ended; err == nil {
				t.Error("the registry took the upload for complete")
			}
			_ = writer.Close()
			if err := <-answered; err == nil {
				t.Error("the request was answered")
			}
			if last := o.seen[len(o.seen)-1]; last != "test 499" {
				t.Errorf("observed %q", last)
			}
		})
	}
}

type observer struct{ seen []string }

func (o *observer) UpstreamRequest(operation string, status int, elapsed time.Duration) {
	if elapsed <= 0 {
		o.seen = append(o.seen, "no time")
	}
	o.seen = append(o.seen, fmt.Sprint(operation, " ", status))
}
func (o *observer) TokenFetch(result string) { o.seen = append(o.seen, "token "+result) }

// TestObserver is told of every attempt.
func TestObserver(t *testing.T) {
	o := &observer{}
	r, double, network := world(t, upstream.Config{Observer: o})
	realm := bearer(t, network, double)
	double.When("GET", "/tags/list").Times(1).Answer(503, "")
	_, _ = send(t.Context(), r, "GET", "/tags/list", nil)
	realm.Revoke()
	realm.Password = "changed"
	_, _ = send(t.Context(), r, "GET", "/tags/list", nil)
	want := []string{"ping 401", "token 200", "token ok", "test 503", "test 200", "test 401", "token 401", "token refused"}
	if diff := cmp.Diff(want, o.seen); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}
