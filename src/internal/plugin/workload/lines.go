// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"
)

// maxLine bounds a line of a log in memory; the rest of a longer one is left out.
const maxLine = 256 << 10

// readLines passes on each line that is newer than after, with its time in front taken off, and returns the
// time of the last. Times of a log may have a second's precision in a request, and more in an answer.
func readLines(r io.Reader, after string, pass func(at, text string)) (string, error) {
	last, from := after, parseTime(after)
	for lines := bufio.NewReaderSize(r, 64<<10); ; {
		line, err := readLine(lines)
		if line != "" {
			at, text, _ := strings.Cut(line, " ")
			switch when := parseTime(at); {
			case when.IsZero(): // no time: not a line of the log, but what a node says about it
				pass("", line)
			case when.After(from):
				last = at
				pass(at, text)
			}
		}
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
	}
}

func parseTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

func readLine(r *bufio.Reader) (string, error) {
	var line strings.Builder
	for {
		part, more, err := r.ReadLine()
		if room := maxLine - line.Len(); room > 0 {
			line.Write(part[:min(len(part), room)])
		}
		if err != nil || !more {
			return line.String(), err
		}
	}
}
