// SPDX-License-Identifier: Apache-2.0

package command

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
)

// app is what all commands share: the streams, kubectl's flags, and where the proxy is.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	mu          sync.Mutex // one line at a time on errOut
	shown       *progress  // the bar on errOut, if there is one
	args        []string   // as typed, for the line that continues an interrupted push
	kube        *genericclioptions.ConfigFlags
	server      string
	via         apiserver.Via // the way in, of commands that have --via
	verbosity   int
}

func newApp(in io.Reader, out, errOut io.Writer, args []string) *app {
	kube := genericclioptions.NewConfigFlags(true)
	kube.APIServer = nil // --server is the proxy's here; a context names the API server
	return &app{in: in, out: out, errOut: errOut, args: args, kube: kube}
}

// sessions remembers interrupted uploads in the user's cache directory. Without one the push works all the
// same.
func (a *app) sessions() *push.Sessions {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	sessions, err := push.OpenSessions(filepath.Join(cache, "kubectl-lsp", "uploads"))
	if err != nil {
		return nil
	}
	return sessions
}

// typed is the command line of this process, safe to paste into a shell.
func (a *app) typed() string {
	words := make([]string, len(a.args))
	for i, word := range a.args {
		words[i] = quoted(word)
	}
	return "kubectl lsp " + strings.Join(words, " ")
}

// quoted makes a word safe to paste into a shell.
func quoted(word string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`).MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
