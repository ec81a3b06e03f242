// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// readFile reads the Workload that -f names, if it does. The command line's name and namespace count before
// its own.
func (o *applyOptions) readFile() (*unstructured.Unstructured, error) {
	var content []byte
	var err error
	switch o.file {
	case "":
		return nil, nil
	case "-":
		content, err = io.ReadAll(o.in)
	default:
		content, err = os.ReadFile(o.file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the Workload: %w", err)
	}
	file, err := workload.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("--file %s: %w", o.file, err)
	}
	if o.request.Name == "" {
		o.request.Name = file.GetName()
	}
	if o.request.Name == "" {
		return nil, fmt.Errorf("--file %s has no name: write metadata.name, or NAME on the command line", o.file)
	}
	if *o.kube.Namespace == "" {
		*o.kube.Namespace = file.GetNamespace()
	}
	return file, nil
}

// awaitReady looks once a second. A status of an older generation does not count.
func (o *applyOptions) awaitReady(
	ctx context.Context, workloads dynamic.ResourceInterface,
) (w *unstructured.Unstructured, err error) {
	if !o.source.quiet {
		o.say("Waiting until Workload %s is ready.", o.request.Name)
	}
	ready, message := "Unknown", ""
	err = wait.PollUntilContextTimeout(ctx, time.Second, o.waitTimeout, true, func(ctx context.Context) (bool, error) {
		if w, err = workloads.Get(ctx, o.request.Name, metav1.GetOptions{}); err != nil {
			return false, err
		}
		seen, _, _ := unstructured.NestedInt64(w.Object, "status", "observedGeneration")
		if ready, message = condition(w, "Ready"); seen < w.GetGeneration() {
			return false, nil
		}
		return ready != "Unknown", nil
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("workload %s is not ready after %s: %s", o.request.Name, o.waitTimeout, orNone(message))
	case err != nil:
		return nil, fmt.Errorf("wait for Workload %s: %w", o.request.Name, err)
	case ready != "True":
		return nil, fmt.Errorf("workload %s is not ready: %s", o.request.Name, orNone(message))
	}
	return w, nil
}
