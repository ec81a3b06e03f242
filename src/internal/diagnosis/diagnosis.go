// SPDX-License-Identifier: Apache-2.0

// Package diagnosis has the steps of "local-source-proxy check" and "kubectl lsp doctor": one type, one text,
// one JSON form.
//
// Both go a way step by step and stop at the first step that fails, because later failures would only follow
// from that one. Which steps there are is the caller's business.
package diagnosis

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Status of a step.
type Status string

// What can become of a step.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Step is one step of the way, and what became of it.
type Step struct {
	Name string `json:"name"`
	// Object is what the step is about, where a way has several.
	Object string `json:"object,omitempty"`
	Status Status `json:"status"`
	// Detail is what was seen.
	Detail string `json:"detail,omitempty"`
	// Remedy is what to do about a failure.
	Remedy string `json:"remedy,omitempty"`
}

// Check tries one step. A status that it leaves empty becomes OK, or Failed with an error. The remedy counts
// with an error only.
type Check func(context.Context) (Step, error)

// Do runs a check and returns what became of it.
func Do(ctx context.Context, name string, check Check) Step {
	step, err := check(ctx)
	step.Name = name
	if err != nil {
		step.Status, step.Detail = Failed, err.Error()
	} else {
		step.Status, step.Remedy = cmp.Or(step.Status, OK), ""
	}
	step.Detail = strings.Join(strings.Fields(step.Detail), " ")
	return step
}

// Healthy reports whether no step failed.
func Healthy(steps []Step) bool {
	return len(steps) > 0 && !slices.ContainsFunc(steps, func(s Step) bool { return s.Status == Failed })
}

// Print writes a step for people: one line, and a second one with the remedy.
func (s Step) Print(w io.Writer) error {
	detail := s.Detail
	if s.Object != "" {
		detail = s.Object + ": " + detail
	}
	text := fmt.Sprintf("%-8s %-15s %s\n", s.Status, s.Name, detail)
	if s.Remedy != "" {
		text += fmt.Sprintf("%-8s %-15s -> %s\n", "", "", s.Remedy)
	}
	_, err := io.WriteString(w, text)
	return err
}
