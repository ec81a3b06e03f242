// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// A server with both sides, and a Prometheus that scrapes it, for what only those two together can show.
type observed struct {
	*testing.T
	dir               string
	log               *lines
	source, images    string
	prometheus, admin string
	client            *http.Client
}

// lines is a process's log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// find returns a value of the first JSON line that has all the others.
func (l *lines) find(value string, where map[string]string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.text.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) != nil {
			continue
		}
		for key, want := range where {
			if record[key] != want {
				continue next
			}
		}
		found, _ := record[value].(string)
		return found
	}
	return ""
}

// start runs a program until the test ends.
func (o *observed) start(cmd *exec.Cmd) {
	o.Helper()
	cmd.Stdout, cmd.Stderr = o.log, o.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
}

// await polls until a condition has no error.
func (o *observed) await(what string, condition func() error) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			o.Fatalf("%s: %v", what, err)
		}
	}
}

func (o *observed) file(name string, content []byte) string {
	o.Helper()
	path := filepath.Join(o.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o600)); err != nil {
		o.Fatal(err)
	}
	return path
}

const imageProxyAPI = "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\n"

// newObserved starts both. id is the license that is in force.
func newObserved(t *testing.T, id string) *observed {
	t.Helper()
	program := system(t, "prometheus", "prometheus")
	o := &observed{T: t, dir: t.TempDir(), log: &lines{}, client: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}}
	binary := filepath.Join(o.dir, "local-source-proxy")
	mustRun(t, command{dir: root(t), args: []string{"go", "build", "-o", binary, "./src/cmd/local-source-proxy"}})
	hash := sha256.Sum256([]byte(id))
	o.file("objects/license.yml", []byte(imageProxyAPI+"kind: License\nmetadata: {name: acme}\nspec:\n  appSlug: shop\n  customerName: Acme\n"+
		"  credentials: [{name: license-id, sha256: "+hex.EncodeToString(hash[:])+"}]\n"))
	cert, key := o.certificate()
	o.start(exec.CommandContext(t.Context(), binary, "serve", "--embedded-registry", "--listen-address=127.0.0.1:0", "--admin-address=127.0.0.1:0",
		"--image-proxy-cache=file://"+filepath.Join(o.dir, "cache")+"?size=1GiB", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir="+filepath.Join(o.dir, "objects"), "--image-proxy-tls-cert="+cert, "--image-proxy-tls-key="+key))
	address := func(door string) (found string) {
		o.await("the address of "+door, func() error {
			if found = o.log.find("address", map[string]string{"msg": "serving", "door": door}); found == "" {
				return errors.New("it is not in the log")
			}
			return nil
		})
		return found
	}
	o.source, o.images, o.admin = address("source"), address("images"), address("admin")
	var registry string
	o.await("the address of the embedded registry", func() error {
		const said = "the embedded registry is for trying out: it keeps manifests in memory"
		if registry = o.log.find("registry", map[string]string{"msg": said}); registry == "" {
			return errors.New("it is not in the log")
		}
		return nil
	})
	o.file("objects/registry.yml", []byte(imageProxyAPI+fmt.Sprintf("kind: ExternalRegistry\nmetadata: {name: vendor}\nspec: {hostname: %q, alias: vendor}\n", registry)))
	o.prometheus = freeAddress(t)
	config := o.file("prometheus.yml", []byte(fmt.Sprintf(`global: {scrape_interval: 1s}
rule_files: [%s]
scrape_configs:
- job_name: ours
  static_configs: [{targets: [%q], labels: {namespace: %s, container: image-proxy}}]
`, rules(t, monitored), o.admin, namespace)))
	o.start(exec.CommandContext(t.Context(), program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(o.dir, "data"),
		"--web.listen-address="+o.prometheus, "--log.level=error"))
	return o
}

// freeAddress is for Prometheus, which cannot say which port it took. Linux hands out ports from 32768 on, so
// nobody else takes this one meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 15_000+mathrand.IntN(15_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

func (o *observed) certificate() (certFile, keyFile string) {
	o.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		o.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"images.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		o.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		o.Fatal(err)
	}
	return o.file("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		o.file("tls.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
}

// query returns how many series an expression has now.
func (o *observed) query(expression string) (series int, err error) {
	response, err := o.client.Get("http://" + o.prometheus + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []any }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Error != "" {
		return 0, errors.New(answer.Error)
	}
	return len(answer.Data.Result), nil
}

// call makes a request, and returns its status and Location.
func (o *observed) call(method, address string, body []byte, license string) (status int, location string) {
	o.Helper()
	request, err := http.NewRequestWithContext(o.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	if license != "" {
		request.SetBasicAuth("ops@acme.example", license)
	}
	response, err := o.client.Do(request)
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get("Location")
}

// traffic is a push and a pull, and one pull without a right.
func (o *observed) traffic(id string) {
	o.Helper()
	blob := []byte("content")
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(blob))
	_, upload := o.call(http.MethodPost, "http://"+o.source+"/v2/source/blobs/uploads/", nil, "")
	o.call(http.MethodPut, "http://"+o.source+upload+"?digest="+digest, blob, "")
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`, digest, len(blob))
	o.call(http.MethodPut, "http://"+o.source+"/v2/source/manifests/v1", []byte(manifest), "")
	pull := "https://" + o.images + "/v2/proxy/shop/vendor/source/"
	o.call(http.MethodGet, pull+"manifests/v1", nil, id)
	o.call(http.MethodGet, pull+"blobs/"+digest, nil, id)
	o.call(http.MethodGet, pull+"manifests/v1", nil, "another-license-id-that-is-none")
}

// TestPrometheus: what alerts look at is there before anything has happened, and after some traffic every
// query of the dashboard finds something.
func TestPrometheus(t *testing.T) {
	id := rand.Text()
	o := newObserved(t, id)
	o.await("the first scrape", func() error {
		if n, err := o.query("lsp_build_info"); n == 0 {
			return fmt.Errorf("%d series, %w", n, err)
		}
		return nil
	})
	for name, rule := range alerts(t, monitored) {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok || selector.Name == "up" {
				return nil
			}
			if n, err := o.query(selector.String()); n == 0 || err != nil {
				t.Errorf("%s: a server that has just started has no %s (%v)", name, selector, err)
			}
			return nil
		})
	}
	pending := map[string]string{}
	for _, p := range dashboard(t, monitored) {
		for _, target := range p.Targets {
			pending[target.Expr] = p.Title
		}
	}
	o.await("the dashboard's queries", func() error {
		o.traffic(id)
		for expression, title := range pending {
			filled := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1m", "$namespace", ".*").Replace(expression)
			n, err := o.query(filled)
			if err != nil {
				t.Fatalf("%s: %s: %v", title, filled, err)
			}
			if n > 0 {
				delete(pending, expression)
			}
		}
		if len(pending) > 0 {
			return fmt.Errorf("nothing found by %v", pending)
		}
		return nil
	})
}
