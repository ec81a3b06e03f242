// SPDX-License-Identifier: Apache-2.0

package upstream

import "regexp"

// scrubber takes addresses out of what a registry says.
type scrubber struct{ urls, hosts *regexp.Regexp }

func newScrubber(host, api string) scrubber {
	hosts := ""
	for _, name := range []string{host, api, hostname(host), hostname(api)} {
		hosts += "|" + regexp.QuoteMeta(name)
	}
	return scrubber{
		urls:  regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"'<>]*`),
		hosts: regexp.MustCompile(`(?i)(?:` + hosts[1:] + `)(?::[0-9]+)?`),
	}
}

// Scrub takes all URLs, which may have secrets in their queries, and the registry's names out of a text that
// the registry wrote.
func (r *Registry) Scrub(text string) string {
	return r.scrubber.hosts.ReplaceAllLiteralString(r.scrubber.urls.ReplaceAllLiteralString(text, "[address]"),
		"the registry")
}
