// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// place is where a suite is aimed: two repositories of one registry, and who asks.
type place struct {
	host, one, two     string
	username, password string
}

// content is what a suite that writes nothing is told to read.
type content struct {
	tags, manifests, blobs, subjects []string
}

// suite is one of the two official programs.
type suite struct {
	name, program string
	// whole are its settings beyond place for all that it has.
	whole []string
	// reading returns those for content that is there, one set for each run.
	reading func(c content) [][]string
}

func suites() []suite {
	return []suite{
		{
			name: "official suite", program: "suite",
			// The next version of the specification has all of this one, and more.
			whole: []string{"OCI_VERSION=dev", "OCI_DATA_SPARSE=true"},
			// Without a push the program panics at the end of a whole run, and refuses to report content of a
			// branch that did not run: so it runs branch by branch.
			reading: func(c content) [][]string {
				branch := func(name string, more ...string) []string {
					return append(more, "OCI_FILTER_TEST=OCI Conformance Test/"+name, "OCI_VERSION=1.1", "OCI_API_PUSH=false",
						"OCI_API_BLOBS_DELETE=false", "OCI_API_MANIFESTS_DELETE=false", "OCI_API_TAGS_DELETE=false")
				}
				return [][]string{
					branch("ping"), branch("empty"), branch("missing-manifest"), branch("invalid-digest-format"),
					branch("read-only",
						"OCI_RO_DATA_TAGS="+strings.Join(c.tags, " "), "OCI_RO_DATA_MANIFESTS="+strings.Join(c.manifests, " "),
						"OCI_RO_DATA_BLOBS="+strings.Join(c.blobs, " "), "OCI_RO_DATA_REFERRERS="+strings.Join(c.subjects, " ")),
				}
			},
		},
		{
			name: "suite until 2025", program: "suite-ginkgo",
			whole: []string{
				"OCI_TEST_PULL=1", "OCI_TEST_PUSH=1", "OCI_TEST_CONTENT_DISCOVERY=1", "OCI_TEST_CONTENT_MANAGEMENT=1",
				"OCI_AUTOMATIC_CROSSMOUNT=0",
			},
			reading: func(c content) [][]string {
				return [][]string{{
					"OCI_TEST_PULL=1", "OCI_TEST_CONTENT_DISCOVERY=1", "OCI_TAG_NAME=" + c.tags[0],
					"OCI_MANIFEST_DIGEST=" + c.manifests[0], "OCI_BLOB_DIGEST=" + c.blobs[0],
					"OCI_TAG_LIST=" + strings.Join(c.tags, ","),
				}}
			},
		},
	}
}

// run runs the suite against a place, once for each set of settings, and returns what it found.
func (s suite) run(t *testing.T, p place, settings ...[]string) verdicts {
	t.Helper()
	all := verdicts{}
	for _, one := range settings {
		for name, results := range s.once(t, p, one) {
			all[name] = append(all[name], results...)
		}
	}
	return all
}

func (s suite) once(t *testing.T, p place, settings []string) verdicts {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(s.program))
	cmd.Dir = dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir,
		"OCI_REGISTRY=" + p.host, "OCI_TLS=disabled", "OCI_REPO1=" + p.one, "OCI_REPO2=" + p.two, "OCI_RESULTS_DIR=" + dir,
		"OCI_USERNAME=" + p.username, "OCI_PASSWORD=" + p.password,
	}, settings...)
	if s.program == "suite-ginkgo" {
		cmd.Env = append(cmd.Env, "OCI_ROOT_URL=http://"+p.host, "OCI_NAMESPACE="+p.one,
			"OCI_CROSSMOUNT_NAMESPACE="+p.two, "OCI_REPORT_DIR="+dir)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// A suite that found a failure ends with an error; what it found is in its report.
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatalf("%s: %v", s.name, err)
	}
	report, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatalf("%s wrote no report: %v\n%s", s.name, err, out.String())
	}
	found, err := read(report)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: a report of %d tests: %v\n%s", s.name, len(found), err, out.String())
	}
	return found
}

// read reads a report in JUnit's form.
func read(report []byte) (verdicts, error) {
	type test struct {
		Name    string `xml:"name,attr"`
		Status  string `xml:"status,attr"`
		Out     string `xml:"system-out"`
		Err     string `xml:"system-err"`
		Failure struct {
			Message string `xml:"message,attr"`
			Text    string `xml:",chardata"`
		} `xml:"failure"`
	}
	var suites struct {
		Suites []struct {
			Tests []test `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(report, &suites); err != nil {
		return nil, err
	}
	// Content is random, and so are the digests in the tests' names.
	random := regexp.MustCompile(`[0-9a-f]{32,}`)
	found := verdicts{}
	for _, one := range suites.Suites {
		for _, test := range one.Tests {
			name := random.ReplaceAllString(test.Name, "…")
			if strings.HasPrefix(name, "[ReportAfterSuite]") {
				continue // it writes the report
			}
			found[name] = append(found[name], result{
				verdict: verdictOf(test.Status),
				said:    strings.TrimSpace(test.Out + test.Failure.Message + test.Failure.Text + "\n" + test.Err),
			})
		}
	}
	return found, nil
}
