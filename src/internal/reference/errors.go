// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// errorsPage is the table of errors.
func errorsPage() string {
	var page strings.Builder
	page.WriteString("# Errors that clients get\n" + note("`src/internal/oci/codes.go`"))
	page.WriteString("The status is that of an error of the proxy's own. The registry's errors pass with the registry's status.\n")
	page.WriteString("`code` is in the body of the answer, and the line of the request has it in `error`.\n\n")
	page.WriteString("| code | status | meaning |\n|---|---|---|\n")
	for _, code := range oci.Codes() {
		fmt.Fprintf(&page, "| `%s` | %d | %s |\n", code, code.Status(), cell(code.Meaning()))
	}
	return page.String()
}

// cell makes text fit into a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
