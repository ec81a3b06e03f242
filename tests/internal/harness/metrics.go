// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// scrape returns /metrics. The test's context may have ended already.
func (s *Server) scrape(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Admin+"/metrics", nil)
	if err != nil {
		t.Errorf("scrape: %v", err)
		return ""
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Errorf("scrape: %v", err)
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("scrape: %s, %v", response.Status, err)
	}
	return string(body)
}

// Metric returns the sum over all series of a metric whose labels contain every given `name="value"`.
func (s *Server) Metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	var sum float64
	scanner := bufio.NewScanner(strings.NewReader(s.scrape(t)))
next:
	for scanner.Scan() {
		series, value, found := cutLast(scanner.Text(), " ")
		metric, set, _ := strings.Cut(series, "{")
		if !found || metric != name {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(","+set, ","+label) {
				continue next
			}
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %s: %v", series, err)
		}
		sum += number
	}
	return sum
}

// AwaitMetric waits until a metric has reached a value.
func (s *Server) AwaitMetric(t testing.TB, want float64, name string, labels ...string) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%s %v", name, labels), func(context.Context) error {
		if got := s.Metric(t, name, labels...); got != want {
			return fmt.Errorf("is %v, want %v", got, want)
		}
		return nil
	})
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}
