// SPDX-License-Identifier: Apache-2.0

package preflight_test

import (
	"errors"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// push shakes hands with a double; arrange makes it deviate.
func push(t *testing.T, arrange func(double *registrytest.Registry)) (*registrytest.Network, error) {
	t.Helper()
	network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	network.Serve(proxytest.Host, double)
	arrange(double)
	registry, err := upstream.New(upstream.Config{Host: proxytest.Host, CACertData: network.CA(), Dial: network.Dial, RetryDelay: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	return network, preflight.TryPush(t.Context(), registry, proxytest.Repository)
}

// TestEveryLocationOfAPushIsUnderstood, as the cancelled upload shows (quirk U1).
func TestEveryLocationOfAPushIsUnderstood(t *testing.T) {
	for _, location := range []string{
		"/u/1?a=b%2F", "https://registry.example.com/u/1?a=b%2F", "http://registry.example.com:5000/u/1?a=b%2F", "registry.example.com/u/1?a=b%2F", "registry.example.com:443/u/1?a=b%2F",
	} {
		network, err := push(t, func(double *registrytest.Registry) { double.When("POST", "").Answer(202, "", "Location", location) })
		if err != nil {
			t.Errorf("%s: %v", location, err)
		}
		if cancelled := network.One(registrytest.Sent("DELETE", "")); cancelled.Path != "/u/1" || cancelled.Query != "a=b%2F" {
			t.Errorf("%s: cancelled at %s", location, cancelled)
		}
	}
}

// TestFailures are what the registry says, without its addresses.
func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(double *registrytest.Registry)
		want    preflight.Failure
	}{
		"refused": {func(double *registrytest.Registry) {
			double.When("POST", "").Answer(403, `{"errors":[{"code":"DENIED","message":"see https://registry.example.com/?token=x"}]}`)
		}, preflight.Failure{Status: 403, Message: "see [address]"}},
		"a page":      {func(double *registrytest.Registry) { double.When("POST", "").Answer(500, "<html>") }, preflight.Failure{Status: 500, Message: "Internal Server Error"}},
		"not started": {func(double *registrytest.Registry) { double.When("POST", "").Answer(200, "") }, preflight.Failure{Status: 502, Message: upstream.ErrNoLocation.Error()}},
		"no location": {func(double *registrytest.Registry) { double.When("POST", "").Answer(202, "") }, preflight.Failure{Status: 502, Message: upstream.ErrNoLocation.Error()}},
		"elsewhere": {func(double *registrytest.Registry) {
			double.When("POST", "").Answer(202, "", "Location", "https://evil.example.net/u")
		}, preflight.Failure{Status: 502, Message: upstream.ErrLocation.Error()}},
	} {
		network, err := push(t, test.arrange)
		failure, ok := errors.AsType[*preflight.Failure](err)
		if !ok || *failure != test.want {
			t.Errorf("%s: %v, want %v", name, err, &test.want)
		}
		network.None(registrytest.Sent("DELETE", ""))
	}
	if _, err := push(t, func(double *registrytest.Registry) { double.When("DELETE", "").Answer(405, "") }); err != nil {
		t.Errorf("an upload that cannot be cancelled: %v", err)
	}
}
