// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// terminal returns a pseudo-terminal's two ends.
func terminal(t *testing.T) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, program
}

// TestTheBarIsNeverLeftInTheLine: what is said while the bar stands there has a line of its own, and nothing
// is left.
func TestTheBarIsNeverLeftInTheLine(t *testing.T) {
	screen, program := terminal(t)
	defer screen.Close()
	var mu sync.Mutex
	var text strings.Builder
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(&locked{&text, &mu}, screen) // ends with an error when the program's end closes
	}()
	bars := func() int {
		mu.Lock()
		defer mu.Unlock()
		return strings.Count(text.String(), "uploading")
	}
	a := newApp(nil, nil, program, nil)
	ctx, cancel := context.WithCancel(t.Context())
	shown := a.uploadProgress(ctx, false)
	for _, line := range []string{"one", "two"} {
		for before, done := bars(), int64(0); bars() == before; done++ { // the bar is drawn ten times a second
			shown.update(done%1000, 1000)
		}
		a.say("%s", line)
	}
	for before, done := bars(), int64(0); bars() == before; done++ {
		shown.update(done%1000, 1000)
	}
	shown.end()
	cancel()
	a.say("three")
	shown.update(999, 1000) // a second Ctrl-C would leave this bar
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	<-closed
	var visible []string
	for line := range strings.SplitSeq(text.String(), "\n") {
		visible = append(visible, lastWritten(line))
	}
	if diff := cmp.Diff([]string{"one", "two", "three", ""}, visible); diff != "" {
		t.Errorf("lines that stay on the terminal (-want +got):\n%s", diff)
	}
}

// locked is a writer that several goroutines share.
type locked struct {
	io.Writer
	mu *sync.Mutex
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Writer.Write(p)
}

// lastWritten is what stands in a line after all its carriage returns.
func lastWritten(line string) string {
	var cells []rune
	at := 0
	for _, r := range line {
		if r == '\r' {
			at = 0
			continue
		}
		if at == len(cells) {
			cells = append(cells, r)
		} else {
			cells[at] = r
		}
		at++
	}
	return strings.TrimRight(string(cells), " ")
}
