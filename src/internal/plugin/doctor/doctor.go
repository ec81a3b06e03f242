// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"net/http"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// Options say which way to walk. With Client, the proxy is asked directly, and the steps of a cluster are
// left out.
type Options struct {
	// Config loads the kubeconfig, and says the namespace and where it leads, such as a context's name.
	Config func() (config *rest.Config, namespace, where string, err error)
	// Via is the way in that was asked for; empty for any.
	Via apiserver.Via
	// Client goes to a proxy without a cluster.
	Client *apiserver.Client
}

// walk holds what the steps find on their way.
type walk struct {
	opts      Options
	namespace string
	set       *kubernetes.Clientset
	client    *apiserver.Client
	// ping is the proxy's answer to GET /v2/, which several steps look at.
	pingErr    error
	repository string
}

// Examine walks the steps in order. The first that fails ends it; the rest are skipped.
func Examine(ctx context.Context, opts Options) []diagnosis.Step {
	w := &walk{opts: opts, client: opts.Client}
	type link struct {
		name string
		try  diagnosis.Check
	}
	links := []link{
		{"kubeconfig", w.kubeconfig}, {"API server", w.apiServer}, {"way in", w.wayIn}, {"RBAC", w.rbac},
		{"service", w.service}, {"pod", w.pod},
	}
	if opts.Client != nil {
		links = []link{{"proxy", w.proxy}}
	}
	links = append(links, link{"upstream token", w.upstream}, link{"push scope", w.push})
	steps := make([]diagnosis.Step, 0, len(links))
	for _, l := range links {
		step := diagnosis.Step{Name: l.name, Status: diagnosis.Skipped}
		if len(steps) == 0 || steps[len(steps)-1].Status == diagnosis.OK {
			step = diagnosis.Do(ctx, l.name, l.try)
		}
		steps = append(steps, step)
	}
	return steps
}

func (w *walk) kubeconfig(context.Context) (diagnosis.Step, error) {
	config, namespace, where, err := w.opts.Config()
	if err != nil {
		return diagnosis.Step{
			Remedy: "check KUBECONFIG, --kubeconfig and --context; `kubectl config get-contexts` lists what there is",
		}, err
	}
	w.namespace = namespace
	if w.client, err = apiserver.New(config, apiserver.Options{Via: w.opts.Via, Namespace: namespace}); err == nil {
		w.set, err = clientset(config)
	}
	if err != nil {
		return diagnosis.Step{Remedy: "check the server and the certificates in the kubeconfig"}, err
	}
	return diagnosis.Step{Detail: where}, nil
}

func clientset(config *rest.Config) (*kubernetes.Clientset, error) {
	client, err := apiserver.HTTPClient(config)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfigAndClient(config, client)
}

func (w *walk) apiServer(context.Context) (diagnosis.Step, error) {
	version, err := w.set.Discovery().ServerVersion()
	if err != nil {
		return diagnosis.Step{
			Remedy: "check the network (VPN, proxy) and the cluster's state; `kubectl version` must work",
		}, err
	}
	return diagnosis.Step{Detail: "Kubernetes " + version.GitVersion}, nil
}

func (w *walk) proxy(ctx context.Context) (diagnosis.Step, error) {
	if w.ping(ctx); w.pingErr != nil {
		return diagnosis.Step{Remedy: "check --server; a port-forward may have ended"}, w.pingErr
	}
	return diagnosis.Step{Detail: w.client.Base().Host}, nil
}

func (w *walk) ping(ctx context.Context) {
	resp, err := w.client.Do(ctx, apiserver.Request{Method: http.MethodGet, Target: "/v2/"})
	if w.pingErr = err; err != nil {
		return
	}
	defer resp.Body.Close()
	w.repository = resp.Header.Get(apiserver.RegistryPathHeader)
}

func (w *walk) upstream(ctx context.Context) (diagnosis.Step, error) {
	health, err := CheckHealth(ctx, w.client)
	if err != nil {
		return diagnosis.Step{Remedy: "check that the address is that of a Local Source Proxy"}, err
	}
	if health.OverallHealth {
		return diagnosis.Step{Detail: w.repository}, nil
	}
	remedy := checkValues
	_, unready := Ready(ctx, w.client)
	if why, ok := errors.AsType[*Obstacle](unready); ok {
		remedy = why.Remedy
	}
	return diagnosis.Step{Remedy: remedy}, errors.New(health.Message)
}

// push starts an upload and cancels it. RBAC grants no delete through the API server, so the cancelling may
// fail; a session that nobody uses expires.
func (w *walk) push(ctx context.Context) (diagnosis.Step, error) {
	resp, err := w.client.Do(ctx, apiserver.Request{Method: http.MethodPost, Target: "/v2/source/blobs/uploads/"})
	if err != nil {
		return diagnosis.Step{
			Remedy: "ask the operator whether the credential in push_secret may push to this repository, and whether the repository exists",
		}, err
	}
	defer resp.Body.Close()
	target, err := w.client.Locate(resp)
	if err != nil {
		return diagnosis.Step{Remedy: "report this as a bug of the proxy"}, err
	}
	if cancelled, err := w.client.Do(ctx, apiserver.Request{Method: http.MethodDelete, Target: target}); err == nil {
		cancelled.Body.Close()
	}
	return diagnosis.Step{Detail: "an upload may begin"}, nil
}
