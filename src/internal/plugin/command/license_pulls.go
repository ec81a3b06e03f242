// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// pullsFlags are what "license pulls" can be told.
type pullsFlags struct {
	since  string
	limit  int
	log    string
	output format
}

func newLicensePulls(p *licensePlace) *cobra.Command {
	f := &pullsFlags{}
	cmd := &cobra.Command{
		Use:   "pulls NAME",
		Short: "Show what was pulled with a license lately",
		Long: `Show what was pulled with a license lately, oldest first.

The record is the server's log (its JSON form, the default): in a cluster that of all replicas, as far as the nodes still have
it; outside of one that of --log. Other lines in it do no harm.`,
		Example: `  kubectl lsp license pulls acme --since 1h
  kubectl lsp license pulls acme --log server.log
  journalctl -u local-source-proxy -o cat | kubectl lsp license pulls acme --log - -o json`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.pulls(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.since, "since", "", "leave out what is older, such as 1h or 7d")
	cmd.Flags().IntVar(&f.limit, "limit", 20, "how many of the newest to show")
	cmd.Flags().StringVar(&f.log, "log", "", `file with the server's log, "-" is standard input, instead of a cluster's pods`)
	registerCompletion(cmd, "since", cobra.NoFileCompletions)
	registerCompletion(cmd, "limit", cobra.NoFileCompletions)
	markPath(cmd, "log")
	f.output.addTo(cmd, "", "wide", "json", "yaml")
	return cmd
}

func (p *licensePlace) pulls(ctx context.Context, name string, f *pullsFlags) error {
	query := license.PullQuery{License: name, Limit: f.limit}
	if f.since != "" {
		span, err := license.ParseSpan(f.since)
		if err != nil {
			return usageError{fmt.Errorf("--since %q: %w", f.since, err)}
		}
		query.Since = time.Now().Add(-span)
	}
	switch {
	case f.limit < 1:
		return usageError{fmt.Errorf("--limit %d: show at least 1", f.limit)}
	case p.dir != "" && f.log == "":
		return usageError{errors.New("a directory has no log: name the server's with --log FILE, or --log - for standard input")}
	}
	if err := errors.Join(f.output.check(), p.check()); err != nil {
		return err
	}
	found, err := p.readPulls(ctx, f.log, query)
	if err != nil && len(found) == 0 {
		return err
	}
	if err != nil { // some replica could not be read
		p.say("Incomplete: %s", apiserver.OneLine(err.Error()))
	}
	switch {
	case f.output.value == "json" || f.output.value == "yaml":
		return f.output.print(p.app, append([]license.Pull{}, found...))
	case len(found) == 0:
		p.say("No pulls with license %s in the log.", name)
		return nil
	default:
		return p.table(pullsTable(found), f.output.value == "wide")
	}
}

// readPulls reads the file, standard input, or the logs of the pods. A license without pulls in a cluster is looked up: its name may
// be misspelt.
func (p *licensePlace) readPulls(ctx context.Context, file string, query license.PullQuery) ([]license.Pull, error) {
	switch file {
	case "":
	case "-":
		return readLog("standard input", p.in, query)
	default:
		log, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		defer log.Close()
		return readLog(file, log, query)
	}
	config, err := p.config()
	if err != nil {
		return nil, elsewhere(err, "the server's log with --log")
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server: %w", err)
	}
	found, err := license.PodPulls(ctx, client, p.packageNamespace(), query)
	if err != nil || len(found) > 0 {
		return found, err
	}
	store, err := p.open(0)
	if err != nil {
		return nil, err
	}
	_, err = store.Get(ctx, query.License)
	return nil, err
}

// readLog reads one log. It may be another file than its user thinks.
func readLog(name string, log io.Reader, query license.PullQuery) ([]license.Pull, error) {
	found, err := license.ReadPulls(log, query)
	if errors.Is(err, license.ErrNoJSON) {
		return nil, fmt.Errorf("%s: %w, or name the server's log", name, err)
	}
	return found, err
}

func pullsTable(all []license.Pull) *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: columns(
		[]string{"Time", "Action", "Image", "Reference", "Status", "Bytes", "Duration"}, "Remote", "Error", "ID")}
	for _, pull := range all {
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{
			pull.Time.UTC().Format(time.RFC3339), pull.Action, orNone(pull.Image), orNone(pull.Reference),
			strconv.Itoa(pull.Status), strconv.FormatInt(pull.Bytes, 10), pull.Duration.Round(time.Millisecond).String(),
			orNone(pull.Remote), orNone(pull.Error), orNone(pull.ID),
		}})
	}
	return t
}
