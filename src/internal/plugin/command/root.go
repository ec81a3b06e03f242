// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// app is what all commands share: the streams, kubectl's flags, and where the proxy is.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	args        []string // as typed, for the line that continues an interrupted push
	kube        *genericclioptions.ConfigFlags
	server      string
}

func newApp(in io.Reader, out, errOut io.Writer, args []string) *app {
	kube := genericclioptions.NewConfigFlags(true)
	kube.APIServer = nil // --server is the proxy's here; a context names the API server
	return &app{in: in, out: out, errOut: errOut, args: args, kube: kube}
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:         "kubectl-lsp",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl lsp"},
		Short:       "Push source code to your organisation's registry with nothing but a kubeconfig",
		Long: `Push source code (or any image) to your organisation's registry with nothing but a kubeconfig.

Local Source Proxy in the cluster holds the registry's credential; you need none. Results go to standard output,
everything else to standard error.`,
		Example: `  # Push the current directory as the source of "web"; prints the image to build from
  kubectl lsp push --name web

  # Push and create or update the Workload in one go
  kubectl lsp workload apply web --local-path .

  # Something does not work: find out what
  kubectl lsp doctor

  # Let a customer pull private images for a month
  kubectl lsp license create --app shop --customer Acme --expires 30d --domain proxy.example.com

  # A registry on this machine for docker, ko, Tilt, Skaffold, crane, imgpkg ...
  kubectl lsp registry --port 5001`,
		Version:           version.Get().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkNamespace() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().StringVar(&a.server, "server", "", "address of a proxy to talk to directly, such as http://localhost:5002, instead of going through the cluster")
	a.kube.AddFlags(root.PersistentFlags())
	for _, hidden := range []string{"cache-dir", "disable-compression", "username", "password", "cluster"} {
		if f := root.PersistentFlags().Lookup(hidden); f != nil {
			f.Hidden = true
		}
	}
	root.AddCommand(newPush(a), newHealth(a), newDoctor(a), newWorkload(a), newRegistry(a), newLicense(a), newRewrite(a), newHelmValues(a))
	refuseUnknownHelp(root)
	a.completeKubeFlags(root)
	return root
}

// noCommand is for a command that has others below it, of which an argument is none.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default, which it sets too late
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError{fmt.Errorf("unknown command %q: did you mean %s?", args[0], strings.Join(near, " or "))}
	}
	return usageError{fmt.Errorf("unknown command %q", args[0])}
}

// refuseUnknownHelp makes "help" of what is not there a mistake, which cobra answers with exit code 0.
func refuseUnknownHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "help" {
			continue
		}
		cmd.Args = func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil {
				return usageError{err}
			}
			return noCommand(found, rest)
		}
	}
}

// checkNamespace refuses what no cluster can have.
func (a *app) checkNamespace() error {
	if namespace := *a.kube.Namespace; namespace != "" && len(validation.IsDNS1123Label(namespace)) > 0 {
		return usageError{fmt.Errorf("--namespace %q cannot be a namespace", namespace)}
	}
	return nil
}

// exactly checks the number of arguments and names them when it is wrong.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usageError{fmt.Errorf("%s is missing", names[len(args)])}
		case len(args) > len(names):
			return usageError{fmt.Errorf("argument %q is one too many", args[len(names)])}
		default:
			return nil
		}
	}
}

// errNoKubeconfig stands for what client-go has instead: an API server on localhost:8080.
var errNoKubeconfig = errors.New("there is no kubeconfig: name one with --kubeconfig or KUBECONFIG")

// elsewhere adds what else there is to do without a kubeconfig.
func elsewhere(err error, remedy string) error {
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
	config.UserAgent = "kubectl-lsp/" + version.Get().Version
	return config, nil
}

// client is the way to the proxy.
func (a *app) client() (*apiserver.Client, error) {
	if a.server != "" {
		return a.direct()
	}
	config, err := a.config()
	if err != nil {
		return nil, elsewhere(err, "a proxy's address with --server")
	}
	return apiserver.New(config)
}

// direct honours those of kubectl's flags that speak of the connection.
func (a *app) direct() (*apiserver.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: *a.kube.TLSServerName, InsecureSkipVerify: *a.kube.Insecure} //nolint:gosec // the user's --insecure-skip-tls-verify, as in kubectl
	if *a.kube.CAFile != "" {
		pool, err := certificates(nil, *a.kube.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	timeout, err := time.ParseDuration(*a.kube.Timeout)
	if err != nil && *a.kube.Timeout != "0" {
		return nil, usageError{fmt.Errorf("--request-timeout %q: write a duration such as 30s", *a.kube.Timeout)}
	}
	client, err := apiserver.Direct(a.server, conf, timeout)
	if err != nil {
		return nil, usageError{fmt.Errorf("--%w", err)}
	}
	return client, nil
}

// certificates adds a file in PEM to the pool; nil begins an empty one.
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

// namespace is kubectl's; without a kubeconfig it is "default".
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

// sessions remembers interrupted uploads in the user's cache directory. Without one the push works all the same.
func (a *app) sessions() *push.Sessions {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	sessions, err := push.OpenSessions(filepath.Join(cache, "kubectl-lsp", "uploads"))
	if err != nil {
		return nil
	}
	return sessions
}

// consent asks on the terminal. Without one nobody can answer, so --yes is needed.
func (a *app) consent(yes bool, question string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(a.errOut, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	if err != nil {
		a.say("")
		return errors.New("nobody answered; say --yes to go on without asking")
	}
	a.say("Nothing was changed.")
	return silent{}
}

// say writes one line to standard error.
func (a *app) say(format string, values ...any) { fmt.Fprintf(a.errOut, format+"\n", values...) }

// count is how many there are, in words for people.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
