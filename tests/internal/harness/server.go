// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Options say how the server is started.
type Options struct {
	// Upstream is the registry behind it; nil: whatever Values and Flags say.
	Upstream *Registry
	// Values are added to those that Upstream needs.
	Values map[string]any
	// DockerConfig replaces the one that Upstream needs.
	DockerConfig []byte
	// Flags are added to the command line.
	Flags []string
	// Environment is added to the process's.
	Environment []string
	// Prepare changes the command ahead of its start; nil: it stays as it is.
	Prepare func(cmd *exec.Cmd)
	// Secrets must not be seen in a log or a metric, beside those of Upstream.
	Secrets []string
}

// Server is a running local-source-proxy.
type Server struct {
	*Process
	// Host is the address of the source proxy, as it stands in an image reference, API that of its namespaced
	// API, and Images that of the image proxy; empty where a side is off.
	Host, API, Images string
	// Admin is the base URL of the admin address.
	Admin string
	// ValuesFile and DockerConfigFile can be rewritten while it runs.
	ValuesFile, DockerConfigFile string

	client  *http.Client
	options Options
}

// Start starts the server on free ports and waits until it is ready. When the test ends, it is stopped, and
// no secret may stand in its log or metrics, and no race or panic in its log.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{options: options, client: newClient(t)}
	flags := []string{"serve", "--listen-address=127.0.0.1:0", "--admin-address=127.0.0.1:0"}
	if values := options.values(); len(values) > 0 {
		s.ValuesFile = WriteJSON(t, filepath.Join(dir, "values.yaml"), values)
		flags = append(flags, "--values-file="+s.ValuesFile)
	}
	config := options.DockerConfig
	if config == nil && options.Upstream != nil && options.Upstream.Username != "" {
		config = options.Upstream.DockerConfig(t)
	}
	if config != nil {
		s.DockerConfigFile = WriteFile(t, filepath.Join(dir, "config.json"), config)
		flags = append(flags, "--docker-config="+s.DockerConfigFile)
	}
	// Registered ahead of the process's own cleanup, so that it sees the whole log.
	t.Cleanup(func() {
		log := s.Stdout.String() + s.Stderr.String()
		s.assertNoSecret(t, "the log", log)
		for _, trouble := range []string{"WARNING: DATA RACE", "panic: ", "panic serving"} {
			if strings.Contains(log, trouble) {
				t.Errorf("the log of the server has %q", trouble)
			}
		}
	})
	cmd := Command(append(flags, options.Flags...)...)
	cmd.Env = append(cmd.Env, options.Environment...)
	if options.Prepare != nil {
		options.Prepare(cmd)
	}
	s.Process = StartProcess(t, "local-source-proxy", cmd)
	t.Cleanup(func() {
		if s.Running() {
			s.assertNoSecret(t, "the metrics", s.scrape(t))
		}
	})
	s.await(t, "serve", func(ctx context.Context) error {
		s.Host, s.API, s.Images = s.address("source"), s.address("api"), s.address("images")
		s.Admin = "http://" + s.address("admin")
		if s.Admin == "http://" || s.Host == "" && options.source() ||
			s.API == "" && options.opens("api") || s.Images == "" && options.opens("image-proxy") {
			return errors.New("no addresses in its log yet")
		}
		return s.ready(ctx)
	})
	return s
}

// source and opens say which sides the flags open.
func (o Options) source() bool { return !slices.Contains(o.Flags, "--listen-address=") }

func (o Options) opens(side string) bool {
	return slices.ContainsFunc(o.Flags, func(flag string) bool { return strings.HasPrefix(flag, "--"+side+"-address=") })
}

// Command is the binary with these arguments, outside the reach of the user's own configuration.
func Command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Getenv(BinaryVariable), args...)
	// The race detector would sleep for a second at the end of every process.
	cmd.Env = []string{"GORACE=atexit_sleep_ms=10"}
	for _, variable := range os.Environ() {
		key, _, _ := strings.Cut(variable, "=")
		switch key {
		case "DOCKER_CONFIG", "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy":
		default:
			cmd.Env = append(cmd.Env, variable)
		}
	}
	return cmd
}

// WriteJSON writes a value as JSON, which is YAML too, and returns the path.
func WriteJSON(t testing.TB, path string, value any) string {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return WriteFile(t, path, content)
}

func (o Options) values() map[string]any {
	values := map[string]any{}
	if o.Upstream != nil {
		values["repository"] = o.Upstream.Host + "/" + Repository
		if len(o.Upstream.CA) > 0 {
			values["ca_cert_data"] = string(o.Upstream.CA)
		}
	}
	maps.Copy(values, o.Values)
	return values
}

// URL returns the address of a path on the source proxy.
func (s *Server) URL(path string) string { return "http://" + s.Host + path }

// address is where a side is served, by the log; empty when it has not said so yet.
func (s *Server) address(side string) string {
	for _, record := range s.Stderr.Records("serving") {
		if record["door"] == side {
			address, _ := record["address"].(string)
			return address
		}
	}
	return ""
}

func (s *Server) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Admin+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		return fmt.Errorf("/readyz answers %s: %s", response.Status, body)
	}
	return nil
}

// AwaitNotReady waits until /readyz refuses.
func (s *Server) AwaitNotReady(t testing.TB) {
	t.Helper()
	Eventually(t, "not ready any more", func(ctx context.Context) error {
		if s.ready(ctx) == nil {
			return errors.New("/readyz still answers 200")
		}
		return nil
	})
}

func (s *Server) assertNoSecret(t testing.TB, where, text string) {
	t.Helper()
	secrets := s.options.Secrets
	if s.options.Upstream != nil {
		secrets = append(secrets[:len(secrets):len(secrets)], s.options.Upstream.secrets()...)
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s of the server holds the secret %.8s…", where, secret)
		}
	}
}

func newClient(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}
