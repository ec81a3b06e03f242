// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/dynamic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// workloads is the way to the Workloads of the namespace.
func (a *app) workloads() (dynamic.ResourceInterface, string, error) {
	namespace, _, err := a.kube.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := a.config()
	if err != nil {
		return nil, "", err
	}
	client, err := dynamicClient(config)
	if err != nil {
		return nil, "", err
	}
	return client.Resource(workload.Resource()).Namespace(namespace), namespace, nil
}

func validateSelector(selector string) error {
	if _, err := labels.Parse(selector); err != nil {
		return usageError{fmt.Errorf("--selector %q: %w", selector, err)}
	}
	return nil
}

func workloadName(w *unstructured.Unstructured) string { return "workload.carto.run/" + w.GetName() }

// sourceOf is what a Workload builds from, or runs.
func sourceOf(w *unstructured.Unstructured) string {
	field := func(fields ...string) string {
		text, _, _ := unstructured.NestedString(w.Object, fields...)
		return text
	}
	return cmp.Or(field("spec", "source", "image"), field("spec", "source", "git", "url"), field("spec", "image"), none)
}

// condition is the status of a condition, with its message.
func condition(w *unstructured.Unstructured, kind string) (status, message string) {
	all, _, _ := unstructured.NestedSlice(w.Object, "status", "conditions")
	for _, item := range all {
		if c, ok := item.(map[string]any); ok && c["type"] == kind {
			status, _ = c["status"].(string)
			message, _ = c["message"].(string)
			return cmp.Or(status, "Unknown"), message
		}
	}
	return "Unknown", ""
}

func workloadTable(all []unstructured.Unstructured) *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: columns([]string{"Name", "Type", "App", "Ready", "Source", "Age"})}
	for i := range all {
		w := &all[i]
		ready, _ := condition(w, "Ready")
		age := "<unknown>"
		if made := w.GetCreationTimestamp(); !made.IsZero() {
			age = duration.HumanDuration(time.Since(made.Time))
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{
			w.GetName(), orNone(w.GetLabels()[workload.TypeLabel]), orNone(w.GetLabels()[workload.PartOfLabel]),
			ready, sourceOf(w), age,
		}})
	}
	return t
}

// describeWorkload writes for people, with control characters made harmless.
func (a *app) describeWorkload(w *unstructured.Unstructured) error {
	var text strings.Builder
	row := func(name, value string) { fmt.Fprintf(&text, "%-11s %s\n", name, printers.EscapeTerminal(value)) }
	row("Name:", w.GetName())
	row("Namespace:", w.GetNamespace())
	row("Type:", orNone(w.GetLabels()[workload.TypeLabel]))
	row("Source:", sourceOf(w))
	through := "no"
	if _, ours := w.GetAnnotations()[workload.Annotation]; ours {
		through = "yes"
	}
	row("Pushed:", through+" (through Local Source Proxy)")
	ready, message := condition(w, "Ready")
	row("Ready:", ready)
	if message != "" {
		row("Message:", message)
	}
	if _, err := io.WriteString(a.out, text.String()); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
