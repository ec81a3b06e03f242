// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// pullsOptions are those of "license pulls".
type pullsOptions struct {
	*licensePlace
	query  license.PullQuery
	since  string
	limit  int
	log    string
	output format
}

func newLicensePulls(p *licensePlace) *cobra.Command {
	o := &pullsOptions{licensePlace: p}
	cmd := &cobra.Command{
		Use:   "pulls NAME",
		Short: "Show what customers pulled with a license lately",
		Long: `Show what customers pulled with a license lately, oldest first.

The record is the server's log in JSON, its default. In a cluster the command reads the logs of all replicas,
as far back as the nodes keep them. Outside of one, name the log with --log. Other lines in it do no harm.

Where the server has a cache, the column CACHE says what part it had. hit: the registry did not have to send
it. miss: the registry sent it. shared: the registry sent it for another request at the same time. stale: the
registry could not be asked, and this is what it said last. bypass: the cache had no part.`,
		Example: `  kubectl lsp license pulls acme --since 1h
  kubectl lsp license pulls acme --log server.log
  journalctl -u local-source-proxy -o cat | kubectl lsp license pulls acme --log - -o json`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	cmd.Flags().StringVar(&o.since, "since", "", "leave out what is older, such as 1h or 7d")
	cmd.Flags().IntVar(&o.limit, "limit", 20, "how many of the newest to show")
	cmd.Flags().StringVar(&o.log, "log", "",
		`file with the server's log instead of a cluster's pods; "-" is standard input`)
	registerCompletion(cmd, "since", cobra.NoFileCompletions)
	registerCompletion(cmd, "limit", cobra.NoFileCompletions)
	markPath(cmd, "log")
	o.output.addTo(cmd, "", "wide", "json", "yaml")
	return cmd
}

func (o *pullsOptions) validate(_ *cobra.Command, args []string) error {
	o.query = license.PullQuery{License: args[0], Limit: o.limit}
	if o.since != "" {
		span, err := license.ParseSpan(o.since)
		if err != nil {
			return usageError{fmt.Errorf("--since %q: %w", o.since, err)}
		}
		o.query.Since = time.Now().Add(-span)
	}
	switch {
	case o.limit < 1:
		return usageError{fmt.Errorf("--limit %d: show at least 1", o.limit)}
	case o.dir != "" && o.log == "":
		return usageError{errors.New(
			"a directory has no log: name the server's with --log FILE, or --log - for standard input")}
	}
	return errors.Join(o.output.validate(), o.licensePlace.validate())
}

func (o *pullsOptions) run(ctx context.Context) error {
	found, err := o.readPulls(ctx)
	if err != nil && len(found) == 0 {
		return err
	}
	if err != nil { // some replica could not be read
		o.say("Incomplete: %s", apiserver.OneLine(err.Error()))
	}
	switch {
	case o.output.value == "json" || o.output.value == "yaml":
		return o.output.print(o.app, append([]license.Pull{}, found...))
	case len(found) == 0:
		o.say("No pulls with license %s in the log.", o.query.License)
		return nil
	default:
		return o.table(pullsTable(found), printers.PrintOptions{Wide: o.output.value == "wide"})
	}
}

// readPulls reads the file, standard input, or the logs of the pods. It looks a license without pulls up,
// because the name may be misspelt.
func (o *pullsOptions) readPulls(ctx context.Context) ([]license.Pull, error) {
	switch o.log {
	case "":
	case "-":
		return readLog("standard input", o.in, o.query)
	default:
		log, err := os.Open(o.log)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		defer log.Close()
		return readLog(o.log, log, o.query)
	}
	config, err := o.config()
	if err != nil {
		return nil, orElse(err, "the server's log with --log")
	}
	client, err := clientset(config)
	if err != nil {
		return nil, err
	}
	found, err := license.PodPulls(ctx, client, o.packageNamespace(), o.query)
	if err != nil || len(found) > 0 {
		return found, err
	}
	store, err := o.open(0)
	if err != nil {
		return nil, err
	}
	_, err = store.Get(ctx, o.query.License)
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

// pullsTable has a column for the cache where a server with one wrote the log.
func pullsTable(all []license.Pull) *metav1.Table {
	names := []string{"Time", "Action", "Image", "Reference", "Status", "Bytes", "Duration"}
	cached := slices.ContainsFunc(all, func(pull license.Pull) bool { return pull.Cache != "" })
	if cached {
		names = append(names, "Cache")
	}
	t := &metav1.Table{ColumnDefinitions: columns(names, "Remote", "Error", "ID")}
	for _, pull := range all {
		cells := []any{
			pull.Time.UTC().Format(time.RFC3339), pull.Action, orNone(pull.Image), orNone(pull.Reference),
			strconv.Itoa(pull.Status), strconv.FormatInt(pull.Bytes, 10), pull.Duration.Round(time.Millisecond).String(),
		}
		if cached {
			cells = append(cells, orNone(pull.Cache))
		}
		cells = append(cells, orNone(pull.Remote), orNone(pull.Error), orNone(pull.ID))
		t.Rows = append(t.Rows, metav1.TableRow{Cells: cells})
	}
	return t
}
