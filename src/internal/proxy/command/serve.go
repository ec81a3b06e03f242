// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// gcPercent is how much the heap may grow between collections, in percent, unless GOGC says otherwise. Half
// of Go's default takes 2 to 5 MiB off the peak of 64 uploads at once, for at most a twentieth more CPU, and
// this one more for none (tests/bench/README.md).
const gcPercent = 40

// temporary is what --embedded-registry means without a directory.
const temporary = "temporary"

func serveCommand(stderr io.Writer) *cobra.Command { return serveWith(stderr, new(proxy.Config)) }

// serveWith is the command whose flags go into cfg.
func serveWith(stderr io.Writer, cfg *proxy.Config) *cobra.Command {
	var format, level, embedded string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve until SIGTERM or Ctrl-C",
		Long: `Serve forwards pushes until SIGTERM or Ctrl-C. Uploads under way may then finish.

The source proxy authenticates nobody: in a cluster, the API server does. Outside of one it listens on loopback unless
--listen-address says otherwise.

The settings are the package's values (--values-file) and a docker config (--docker-config). In a cluster they are
Secrets of the pod's namespace: local-source-proxy-values, and the one that --push-secret names. The next request uses a
change of either. A change that cannot be used is logged and changes nothing.

With --image-proxy-address, customers pull a vendor's private images, each with a license. With --listen-address= the
server does nothing else. Licenses and registries are YAML files (--image-proxy-dir), or custom resources of the cluster.`,
		Example: `  # a registry in this process, to try it out
  local-source-proxy serve --embedded-registry

  # one's own registry; values.yml says "repository: registry.example.com/team/source"
  local-source-proxy serve --values-file values.yml --docker-config ~/.docker/config.json

  # images alone, to customers who have a license
  local-source-proxy serve --listen-address= --image-proxy-address :5003 --image-proxy-dir licenses/ \
    --image-proxy-tls-cert tls.crt --image-proxy-tls-key tls.key`,
		Args: noArguments,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&cfg.ListenAddress, "listen-address", proxy.DefaultAddress(5002),
		"`address` that developers push to; empty turns the source proxy off")
	flags.StringVar(&cfg.AdminAddress, "admin-address", proxy.DefaultAddress(8081),
		"`address` of /livez, /readyz and /metrics")
	settingsFlags(flags, &cfg.Sources)
	flags.StringVar(&cfg.SessionKeyFile, "session-key-file", "", "`file` with the keys that all replicas share, for upload sessions and tokens: 32 bytes in base64 a line; the first line seals, all open (default: Secrets in a cluster, else a random key)")
	flags.StringVar(&embedded, "embedded-registry", "",
		"start a registry in this process and push to it; `directory` keeps its blobs")
	flags.Lookup("embedded-registry").NoOptDefVal = temporary
	flags.BoolVar(&cfg.PassRedirects, "pass-redirects", false,
		"pass redirects of downloads on to clients, instead of following them")
	flags.StringVar(&cfg.API.Address, "api-address", "", "`address` of the namespaced push API, for the API server's aggregation layer, in a cluster; empty turns it off")
	flags.BoolVar(&cfg.API.MetricsByNamespace, "api-metrics-by-namespace", false,
		"count the requests of that API by namespace: each adds series to lsp_requests_total")
	imagesFlags(flags, &cfg.Images)
	flags.BoolVar(&cfg.Profiles, "pprof", false,
		"serve the Go runtime's profiles on the admin address, below /debug/pprof/")
	flags.StringVar(&format, "log-format", "json", "json or text")
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error; debug has why each request was admitted or refused, and what registries were asked")
	flags.DurationVar(&cfg.ShutdownTimeout, "shutdown-timeout", 5*time.Minute,
		"how long uploads under way may take to finish after SIGTERM")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		logger, err := newLogger(stderr, format, level)
		if err != nil {
			return usageError{err}
		}
		cfg.Logger, cfg.Version = logger, version.Get().Version
		if embedded != "" {
			cfg.Embedded = &proxy.Embedded{}
			if embedded != temporary {
				cfg.Embedded.Dir = embedded
			}
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		if cfg.Memory, err = proxy.LimitMemory(os.Getenv(proxy.MemoryLimitVariable), os.DirFS("/")); err != nil {
			return usageError{err}
		}
		return proxy.Run(cmd.Context(), *cfg)
	}
	return cmd
}

// imagesFlags are those of the image proxy.
func imagesFlags(flags *pflag.FlagSet, images *proxy.Images) {
	flags.StringVar(&images.Address, "image-proxy-address", "",
		"`address` that customers pull images from; empty turns the image proxy off")
	flags.StringVar(&images.Dir, "image-proxy-dir", "", "`directory` of YAML files with licenses and registries (default: the custom resources of the namespace, in a cluster)")
	flags.StringVar(&images.TLSCert, "image-proxy-tls-cert", "",
		"`file` with the TLS certificate of the image proxy; a change is reloaded")
	flags.StringVar(&images.TLSKey, "image-proxy-tls-key", "", "`file` with the key of that certificate")
	flags.BoolVar(&images.TerminateOnRevoke, "terminate-on-revoke", false,
		"end downloads under way when their license ends or no longer opens their repository, instead of letting them finish")
	flags.IntVar(&images.ConcurrentPulls, "image-proxy-concurrent-pulls", proxy.DefaultConcurrentPulls, "`blobs` that one license has sent at once, unless it says another number; further pulls wait for half a minute, then are refused")
	flags.StringVar(&images.Cache, "image-proxy-cache", "",
		"`URL` of the storage that keeps what customers pull: file:///dir?size=20GiB, mem://?size=64MiB, s3://bucket, gs://bucket or "+
			"azblob://container. Its query may have stale=24h (how long the last answer is served while a registry cannot be asked), "+
			"strict=true and signed_urls=true. Empty keeps nothing")
	flags.StringVar(&images.TrustedProxies, "image-proxy-trusted-proxies", "",
		"`networks` of load balancers whose X-Forwarded-For and X-Forwarded-Proto are trusted, separated by commas")
	flags.StringVar(&images.ExternalURLs, "image-proxy-external-url", "", "`URLs` that customers reach the image proxy by, https://host[:port], separated by commas; the first is for all other names. Needed on other addresses than loopback without a certificate; http:// has license ids sent in plain text")
}

// settingsFlags are those that say where the settings come from.
func settingsFlags(flags *pflag.FlagSet, sources *proxy.Sources) {
	flags.StringVar(&sources.ValuesFile, "values-file", "", "YAML `file` with the package's values")
	flags.StringVar(&sources.DockerConfig, "docker-config", "",
		"docker config.json `file` with the registry's credential, outside a cluster")
	flags.StringVar(&sources.PushSecret, "push-secret", "",
		"`name` of the Secret with the registry's credential, in a cluster")
	flags.StringVar(&sources.Namespace, "namespace", "", "`namespace` of the Secrets (default: the pod's)")
}

func newLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level is %q: it can be debug, info, warn or error", level)
	}
	options.Level = threshold
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, &options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, &options)), nil
	default:
		return nil, fmt.Errorf("--log-format is %q: it can be json or text", format)
	}
}
