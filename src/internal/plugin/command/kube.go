// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// addKubeFlags defines kubectl's flags and --server for all commands.
func (a *app) addKubeFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", "",
		"talk to the proxy at this address, such as http://localhost:5002, and not through the cluster")
	flags.IntVarP(&a.verbosity, "v", "v", 0,
		"show each request on standard error from 6 on, as kubectl does; never secrets")
	a.kube.AddFlags(flags)
	for _, hidden := range []string{"cache-dir", "disable-compression", "username", "password", "cluster"} {
		if f := flags.Lookup(hidden); f != nil {
			f.Hidden = true
		}
	}
}

// checkFlags checks the flags that many commands have.
func (a *app) checkFlags(cmd *cobra.Command) error {
	if cmd.Flags().Changed("via") && a.server != "" {
		return usageError{errors.New("--via and --server: --server goes past the cluster")}
	}
	return a.checkNamespace()
}

// checkNamespace refuses what no cluster can have.
func (a *app) checkNamespace() error {
	if namespace := *a.kube.Namespace; namespace != "" && len(validation.IsDNS1123Label(namespace)) > 0 {
		return usageError{fmt.Errorf("--namespace %q cannot be a namespace", namespace)}
	}
	return nil
}

// errNoKubeconfig stands for what client-go has instead: an API server on localhost:8080.
var errNoKubeconfig = errors.New("there is no kubeconfig: name one with --kubeconfig or KUBECONFIG")

// orElse adds what else the user can do without a kubeconfig.
func orElse(err error, remedy string) error {
	if errors.Is(err, errNoKubeconfig) {
		return fmt.Errorf("%w, or %s", err, remedy)
	}
	return err
}

// config loads the kubeconfig as kubectl does.
func (a *app) config() (*rest.Config, error) {
	config, err := a.kube.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	raw, err := a.kube.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if config.Host == clientcmd.ClusterDefaults.Server && os.Getenv("KUBERNETES_MASTER") == "" {
		switch {
		case len(raw.Contexts) == 0:
			return nil, errNoKubeconfig
		case raw.CurrentContext == "" && *a.kube.Context == "":
			return nil, errors.New("the kubeconfig has no current context: choose one with --context")
		}
	}
	config.Wrap(a.verbose)
	config.UserAgent = "kubectl-lsp/" + version.Get().Version
	return config, nil
}

// clientset and dynamicClient are client-go's clients for the API server, which follow no redirect.
func clientset(config *rest.Config) (*kubernetes.Clientset, error) {
	client, err := apiserver.HTTPClient(config)
	if err != nil {
		return nil, err
	}
	set, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server: %w", err)
	}
	return set, nil
}

func dynamicClient(config *rest.Config) (*dynamic.DynamicClient, error) {
	client, err := apiserver.HTTPClient(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server: %w", err)
	}
	return objects, nil
}

// client is the way to the proxy. quiet says nothing of a namespaced API that does not work.
func (a *app) client(quiet bool) (*apiserver.Client, error) {
	if a.server != "" {
		return a.direct()
	}
	config, err := a.config()
	if err != nil {
		return nil, orElse(err, "a proxy's address with --server")
	}
	namespace, err := a.namespace()
	if err != nil {
		return nil, err
	}
	return apiserver.New(config, apiserver.Options{Via: a.via, Namespace: namespace, Notify: a.notify(quiet)})
}

// addVia lets a command choose the way in.
func (a *app) addVia(cmd *cobra.Command) {
	a.via = apiserver.ViaAuto
	cmd.Flags().Var(&viaFlag{&a.via}, "via",
		"way in: api (the namespaced API), service, or auto: the API where the cluster has it, else the service")
	registerCompletion(cmd, "via", cobra.FixedCompletions(viaWords(), cobra.ShellCompDirectiveNoFileComp))
}

// viaFlag is the value of --via.
type viaFlag struct{ via *apiserver.Via }

func viaWords() []string {
	return []string{string(apiserver.ViaAuto), string(apiserver.ViaAPI), string(apiserver.ViaService)}
}

// String, Set and Type implement [pflag.Value].
func (v *viaFlag) String() string { return string(*v.via) }

func (v *viaFlag) Set(word string) error {
	if !slices.Contains(viaWords(), word) {
		return fmt.Errorf("choose one of %s", strings.Join(viaWords(), ", "))
	}
	*v.via = apiserver.Via(word)
	return nil
}

func (v *viaFlag) Type() string { return "string" }

// direct honours those of kubectl's flags that speak of the connection.
func (a *app) direct() (*apiserver.Client, error) {
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: *a.kube.TLSServerName,
		InsecureSkipVerify: *a.kube.Insecure, //nolint:gosec // the user's --insecure-skip-tls-verify, as in kubectl
	}
	if *a.kube.CAFile != "" {
		pool, err := certificates(nil, *a.kube.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	timeout, err := time.ParseDuration(*a.kube.Timeout)
	if err != nil && *a.kube.Timeout != "0" {
		return nil, usageError{fmt.Errorf(
			"--request-timeout %q: write a duration such as 30s", *a.kube.Timeout)}
	}
	client, err := apiserver.Direct(a.server, conf, timeout, a.verbose)
	if err != nil {
		return nil, usageError{fmt.Errorf("--%w", err)}
	}
	return client, nil
}

// certificates adds a file in PEM to the pool. A nil pool begins an empty one.
func certificates(pool *x509.CertPool, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	if pool == nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificates: %s has none in PEM", file)
	}
	return pool, nil
}

// namespace is kubectl's. Without a kubeconfig it is "default".
func (a *app) namespace() (string, error) {
	if *a.kube.Namespace != "" {
		return *a.kube.Namespace, nil
	}
	if a.server != "" {
		return "default", nil
	}
	namespace, _, err := a.kube.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	return namespace, nil
}

// packageNamespace is where the package is installed. The context's namespace does not count: the server
// reads licenses in its own one alone.
func (a *app) packageNamespace() string { return cmp.Or(*a.kube.Namespace, apiserver.Namespace) }
