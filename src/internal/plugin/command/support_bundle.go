// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/natefinch/atomic"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/support"
	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// healthTimeout is how long the registry may take to say how it is.
const healthTimeout = 30 * time.Second

// supportOptions are those of "support-bundle".
type supportOptions struct {
	*app
	file  string
	lines int64
}

func newSupportBundle(a *app) *cobra.Command {
	o := &supportOptions{app: a}
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Write what shows why the proxy does not work into one archive, without secrets",
		Long: `Write what shows why the proxy does not work into one archive, a tar.gz, and print its name.

The archive has versions, settings, conditions, health, metrics, events, and the last log lines of each
replica. It is for the operator: it reads the package's namespace, or the one of -n.

What the Secrets of the namespace and your kubeconfig hold is taken out of every file. So is what has the form
of a credential. What you may not read is a line in notes.txt, and no failure. Look into the archive before
you send it: names of hosts, repositories and customers' applications stay.`,
		Example: `  kubectl lsp support-bundle

  # More of the logs, into this file
  kubectl lsp support-bundle --tail 20000 -f proxy.tar.gz`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "file to write (default lsp-support-<time>.tar.gz)")
	cmd.Flags().Int64Var(&o.lines, "tail", 2000, "how many of each container's last log lines to keep")
	a.addVia(cmd)
	markPath(cmd, "file")
	return cmd
}

func (o *supportOptions) validate(*cobra.Command, []string) error {
	switch {
	case o.lines < 1:
		return usageError{fmt.Errorf("--tail %d: write a number above zero", o.lines)}
	case o.server != "":
		return usageError{errors.New("support-bundle asks the cluster: leave --server out")}
	}
	return nil
}

func (o *supportOptions) run(ctx context.Context) error {
	config, err := o.config()
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	name := "lsp-support-" + now.Format("20060102T150405Z")
	if o.file == "" {
		o.file = name + ".tar.gz"
	}
	config.QPS, config.Burst = 50, 100
	redactor := &support.Redactor{}
	knowCredentials(redactor, config)
	files, notes, err := o.collect(ctx, config, redactor)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	files = append(files, support.File{Name: "notes.txt", Content: strings.Join(append(notes, ""), "\n")})
	var archive bytes.Buffer
	if err := support.Write(&archive, name, now, files, redactor); err != nil {
		return err
	}
	if err := writePrivate(o.file, archive.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", o.file, err)
	}
	for _, note := range notes {
		o.say("Not in the archive: %s", redactor.Text(note))
	}
	return o.line(o.file)
}

// writePrivate replaces the file as a whole. Others may not read it.
func writePrivate(file string, content []byte) error {
	if err := atomic.WriteFile(file, bytes.NewReader(content)); err != nil {
		return err
	}
	return os.Chmod(file, 0o600)
}

// collect asks the cluster, and the proxy as a developer would.
func (o *supportOptions) collect(
	ctx context.Context, config *rest.Config, redactor *support.Redactor,
) ([]support.File, []string, error) {
	client, err := clientset(config)
	if err != nil {
		return nil, nil, err
	}
	objects, err := dynamicClient(config)
	if err != nil {
		return nil, nil, err
	}
	collector := &support.Collector{
		Client: client, Objects: objects, Namespace: o.packageNamespace(), Lines: o.lines, Redactor: redactor,
	}
	files, notes := collector.Collect(ctx)
	add := func(name string, content any) {
		raw, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			notes = append(notes, name+": "+err.Error())
			return
		}
		files = append(files, support.File{Name: name, Content: string(raw) + "\n"})
	}
	build := version.Get()
	result := map[string]any{"client": clientVersion{build.Version, build.Commit, build.Go}}
	if server, err := (&versionOptions{app: o.app}).ask(ctx); err != nil {
		notes = append(notes, "the proxy's version: "+apiserver.OneLine(err.Error()))
	} else {
		result["server"] = server
	}
	if cluster, err := client.Discovery().ServerVersion(); err != nil {
		notes = append(notes, "the cluster's version: "+apiserver.OneLine(err.Error()))
	} else {
		result["kubernetes"] = cluster.GitVersion
	}
	add("versions.json", result)
	steps := &doctorOptions{app: o.app}
	add("doctor.json", doctor.Examine(ctx, doctor.Options{Config: steps.where, Via: o.via}))
	health, err := o.health(ctx)
	if err != nil {
		notes = append(notes, "health: "+apiserver.OneLine(err.Error()))
	}
	add("health.json", health)
	return files, notes, nil
}

func (o *supportOptions) health(ctx context.Context) (doctor.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return o.checkHealth(ctx, true)
}

// knowCredentials teaches the redactor the user's own.
func knowCredentials(r *support.Redactor, config *rest.Config) {
	for _, secret := range []string{config.BearerToken, config.Password, string(config.KeyData)} {
		r.Know(secret)
	}
	for _, file := range []string{config.BearerTokenFile, config.KeyFile} {
		if content, err := os.ReadFile(file); file != "" && err == nil {
			r.Know(string(content))
		}
	}
}
