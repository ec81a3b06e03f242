// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestCtrlCOnASlowLine: on a line that empties its buffers in time, distribution confirms what was sent, as
// often as the push is interrupted. On a slower one the push says that nothing is confirmed. It continues
// then where distribution stands, or says that it begins anew. The terminal keeps no part of the bar.
//
// The line that is in time is slow until the push stops, and fast then: so no processor is too slow for either.
func TestCtrlCOnASlowLine(t *testing.T) {
	t.Parallel()
	const size = 48 << 20
	for name, tt := range map[string]struct {
		rate   int // KiB a second
		inTime bool
		says   string
	}{
		"in time":                  {1 << 10, true, "this continues the upload where it stopped"},
		"too slow for its buffers": {64, false, "this continues the upload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			line := newLine(t, p)
			f, err := os.Create(filepath.Join(p.tree, "noise"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.CopyN(f, rand.NewChaCha8([32]byte{5}), size)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for range 2 {
				line.limit(t, tt.rate)
				shown := p.interruptOnTerminal(t, func() {
					if tt.inTime {
						line.unlimited(t)
					}
				})
				if !tt.inTime {
					line.unlimited(t)
				}
				all.WriteString(shown)
				// The second push finds out that the registry does not continue the first, and says so.
				says := strings.Contains(shown, tt.says) || !tt.inTime && strings.Contains(shown, "this begins anew")
				if !says || !strings.Contains(shown, ":\n  kubectl lsp push --name web ") {
					t.Errorf("it does not say that %s:\n%s", tt.says, shown)
				}
			}
			out, said := p.run(t, plugin(), "push", "--name", "web", "--local-path", p.tree)
			p.upstream.AssertArrived(t, "dev-web", digestOf(t, strings.TrimSpace(out)))
			if sent := p.lastChunk(t); sent >= size && !strings.Contains(all.String()+said, "begins anew") {
				t.Errorf("%d bytes of %d, and it does not say that the upload begins anew:\n%s%s", sent, size, all.String(), said)
			}
		})
	}
}

// lastChunk is how many bytes the last chunk of the source had that the registry took whole.
func (p *place) lastChunk(t *testing.T) (sent int64) {
	t.Helper()
	harness.Eventually(t, "the log to have the last chunk", func(context.Context) error {
		for line := range strings.SplitSeq(p.server.Stderr.String()+p.server.Stdout.String(), "\n") {
			var request struct {
				Operation string `json:"operation"`
				Status    int    `json:"status"`
				BytesIn   int64  `json:"bytes_in"`
			}
			if json.Unmarshal([]byte(line), &request) == nil && request.Operation == "upload-chunk" && request.Status == 202 {
				sent = request.BytesIn
			}
		}
		if sent < 1<<20 {
			return errors.New("the source's chunk is not there")
		}
		return nil
	})
	return sent
}

// slowLine lies between the developer and the API server.
type slowLine struct{ *toxiproxy.Proxy }

func newLine(t *testing.T, p *place) slowLine {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	api := harness.NewAPIServer(t, p.server.Host)
	line := slowLine{toxiproxy.NewProxy(server, "line", "127.0.0.1:0", strings.TrimPrefix(api.URL, "http://"))}
	if err := line.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(line.Stop)
	p.env = append(p.env, "KUBECONFIG="+harness.Kubeconfig(t, t.TempDir(), "http://"+line.Listen))
	return line
}

// limit limits what the developer sends to so many KiB a second.
func (l slowLine) limit(t *testing.T, rate int) {
	t.Helper()
	_, err := l.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"name": "slow", "type": "bandwidth", "stream": "upstream", "toxicity": 1, "attributes": {"rate": %d}}`, rate)))
	if err != nil {
		t.Fatal(err)
	}
}

func (l slowLine) unlimited(t *testing.T) {
	t.Helper()
	if err := l.Toxics.RemoveToxic(context.Background(), "slow"); err != nil {
		t.Fatal(err)
	}
}

// interruptOnTerminal runs a push on a terminal, types Ctrl-C when the bar stands, calls stopping when the push
// says that it stops, and returns what stays on the screen.
func (p *place) interruptOnTerminal(t *testing.T, stopping func()) string {
	t.Helper()
	screen, program := terminal(t)
	defer screen.Close()
	cmd := p.command(t.Context(), plugin(), "push", "--name", "web", "--local-path", p.tree)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, &out, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var text strings.Builder
	read := make(chan struct{})
	go func() {
		defer close(read)
		for buffer := make([]byte, 4096); ; {
			n, err := screen.Read(buffer)
			mu.Lock()
			text.Write(buffer[:n])
			mu.Unlock()
			if err != nil { // the program has ended
				return
			}
		}
	}()
	await := func(part string) {
		harness.Eventually(t, fmt.Sprintf("%q on the terminal", part), func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(text.String(), part) {
				return fmt.Errorf("the screen has %q", text.String())
			}
			return nil
		})
	}
	await("uploading")
	if _, err := screen.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	await("stopping: ")
	stopping()
	err := cmd.Wait()
	<-read
	exit, ok := errors.AsType[*exec.ExitError](err)
	shown := visible(text.String())
	if !ok || exit.ExitCode() != 130 || out.Len() > 0 {
		t.Fatalf("%v, stdout %q\n%s", err, out.String(), strings.Join(shown, "\n"))
	}
	for _, line := range shown {
		if strings.Contains(line, "uploading") || strings.Contains(line, "█") || strings.Contains(line, "^C") && line != "^C" {
			t.Errorf("a part of the bar stays: %q", line)
		}
	}
	return strings.Join(shown, "\n")
}

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
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 120}); err != nil {
		t.Fatal(err)
	}
	return screen, program
}

// visible is what stays on a screen: a carriage return goes to the line's start, what comes then overwrites.
func visible(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		var cells []rune
		at := 0
		for _, r := range strings.ReplaceAll(line, "\x1b[2K", "") {
			switch {
			case r == '\r':
				at = 0
				continue
			case at == len(cells):
				cells = append(cells, r)
			default:
				cells[at] = r
			}
			at++
		}
		lines = append(lines, strings.TrimRight(string(cells), " "))
	}
	return lines
}
