// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"strings"
)

// highlight is a verdict of the short table, and how the table names it.
type highlight struct{ scenario, measure, verdict, says string }

// highlights name the scenarios of the full plan.
func highlights() []highlight {
	const ofDirect, added = Proxy + " / " + Direct, "added by the " + Proxy
	return []highlight{
		{"one blob of 1 GiB", throughput, ofDirect, "throughput of one push of 1 GiB, beside the straight way"},
		{"64 blobs of 64 MiB at once", throughput, ofDirect, "throughput of 64 pushes at once, client, proxy and registry on two cores"},
		{"64 blobs of 64 MiB at once", throughput, Nginx + " / " + Direct, "nginx in the place of the proxy there"},
		{"64 blobs of 64 MiB at once", peak, Proxy, "most memory with 64 pushes at once"},
		{"one blob of 4 GiB, for memory", peak, flatness, "most memory of one push of 1 MiB to 4 GiB, largest to least"},
		{"HEAD of a manifest, 1 at once", middle, added, "added to the median of a HEAD"},
		{"source tree of 100 files, 400 KiB, registry 20ms away", "time", ofDirect, "time of a small source tree, registry 20 ms away, beside the straight way with its token"},
		{"source of 64 MiB through a kube-apiserver 50ms away", "time of " + http2, "HTTP/2 / kubectl lsp", "`kubectl lsp push` of 64 MiB at 50 ms, times as fast as existing clients"},
		{"source of 64 MiB through a kube-apiserver 50ms away", "time of " + namespacedPush, namespacedFaster, "the same through the namespaced API"},
		{"one blob of 1 GiB pulled", throughput, ofDirect, "throughput of a pull with a license, beside the straight way"},
		{"license check with 10000 licenses", "admission by license", Proxy, "check of one of 10,000 licenses"},
		{"one of 10000 licenses revoked, 2 processes", "to the first refusal of a blob", tail, "from a license's revocation to the first refusal, 99th percentile"},
		{"server started, files for settings", "start to ready", Proxy, "start to ready"},
		{"image, as it is pulled", "linux/amd64", Proxy, "image, compressed"},
	}
}

// Summary returns the short table of a report of the full plan, in Markdown. What is new in the plan is not in
// the report yet.
func (r Report) Summary() string {
	lines := [][]string{{"what", "measured", "target"}}
	for _, h := range highlights() {
		line := []string{h.says, "not measured yet", ""}
		if v, ok := r.find(h); ok {
			line[1], line[2] = strings.TrimPrefix(v.result(), v.What+": "), v.target()
		}
		lines = append(lines, line)
	}
	var out strings.Builder
	writeTable(&out, lines)
	return out.String()
}

func (r Report) find(h highlight) (Verdict, bool) {
	for _, row := range r.Rows {
		if row.Scenario != h.scenario || row.Measure != h.measure {
			continue
		}
		if i := slices.IndexFunc(row.Verdicts, func(v Verdict) bool { return v.What == h.verdict }); i >= 0 {
			return row.Verdicts[i], true
		}
	}
	return Verdict{}, false
}
