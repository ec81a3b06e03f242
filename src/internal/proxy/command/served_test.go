// SPDX-License-Identifier: Apache-2.0

package command

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
)

// TestServed: check finds what the server of its container was given, and nothing where there is none.
func TestServed(t *testing.T) {
	program := "/ko-app/local-source-proxy"
	pushes := func(sources proxy.Sources) proxy.Checks { return proxy.Checks{Push: true, Sources: sources} }
	for name, test := range map[string]struct {
		line  []string
		want  proxy.Checks
		found bool
	}{
		"of a pod":         {[]string{program, "serve", "--listen-address=:5002", "--push-secret=push", "--pprof"}, pushes(proxy.Sources{PushSecret: "push"}), true},
		"in two words":     {[]string{program, "serve", "--push-secret", "push", "--namespace", "lsp"}, pushes(proxy.Sources{PushSecret: "push", Namespace: "lsp"}), true},
		"files":            {[]string{program, "serve", "--values-file=v.yml", "--docker-config=c.json"}, pushes(proxy.Sources{ValuesFile: "v.yml", DockerConfig: "c.json"}), true},
		"defaults":         {[]string{program, "serve"}, pushes(proxy.Sources{}), true},
		"the image proxy":  {[]string{program, "serve", "--listen-address=", "--image-proxy-address=:5003"}, proxy.Checks{Images: true}, true},
		"both sides":       {[]string{program, "serve", "--image-proxy-address=:5003", "--image-proxy-dir=/d"}, proxy.Checks{Push: true, Images: true, ImagesDir: "/d"}, true},
		"another program":  {[]string{"/sbin/init", "serve", "--push-secret=push"}, proxy.Checks{}, false},
		"another command":  {[]string{program, "check", "--push-secret=push"}, proxy.Checks{}, false},
		"no command":       {[]string{program}, proxy.Checks{}, false},
		"flags of another": {[]string{program, "serve", "--no-such-flag"}, proxy.Checks{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{"proc/1/cmdline": {Data: []byte(strings.Join(test.line, "\x00") + "\x00")}}
			if got, found := served(fs.FS(root)); !reflect.DeepEqual(got, test.want) || found != test.found {
				t.Errorf("got %+v, %v", got, found)
			}
		})
	}
	if _, found := served(fstest.MapFS{}); found {
		t.Error("found a server where there is no process")
	}
}
