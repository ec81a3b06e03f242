// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// nginxConfig streams both ways in pieces of 64 KiB, keeps connections, and adds a fixed token: the nearest
// that nginx comes to what the proxy does.
const nginxConfig = `daemon off;
%[1]s
worker_processes %[2]d;
error_log stderr warn;
pid %[3]s/nginx.pid;
events { worker_connections 1024; }
http {
	access_log %[3]s/access.log;
	client_body_temp_path %[3]s/body;
	proxy_temp_path %[3]s/proxy;
	fastcgi_temp_path %[3]s/fastcgi;
	uwsgi_temp_path %[3]s/uwsgi;
	scgi_temp_path %[3]s/scgi;
	client_max_body_size 0;
	client_body_buffer_size 128k;
	keepalive_requests 1000000;
	upstream registry { server %[4]s; keepalive 64; keepalive_requests 1000000; }
	server {
		listen %[5]s;
		location / {
			proxy_pass %[7]s://registry;
			%[8]s
			proxy_http_version 1.1;
			proxy_request_buffering off;
			proxy_buffering off;
			proxy_buffer_size 64k;
			proxy_buffers 8 64k;
			proxy_read_timeout 1h;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_set_header Authorization "Bearer %[6]s";
		}
	}
}
`

// findNginx gives the path of nginx, or why there is none. Debian keeps it where only root's PATH leads.
func findNginx() (path, reason string) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, ""
		}
	}
	return "", "nginx is not installed (apt-get install --no-install-recommends nginx)"
}

// startNginx starts nginx as a reverse proxy in front of a registry.
func startNginx(t testing.TB, program string, registry *harness.Registry, token string) (base string, meter *Meter) {
	t.Helper()
	dir := t.TempDir()
	address := harness.FreeAddress(t)
	user := ""
	if os.Geteuid() == 0 {
		// Its workers would otherwise be another user, who may not use the directory.
		user = "user root;"
	}
	scheme, trust := "http", ""
	if len(registry.CA) > 0 {
		scheme = "https"
		// The registry takes nginx for its client, and names itself with https.
		trust = "proxy_redirect https:// http://; proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_trusted_certificate " +
			harness.WriteFile(t, filepath.Join(dir, "ca.crt"), registry.CA) + ";"
	}
	config := harness.WriteFile(t, filepath.Join(dir, "nginx.conf"),
		fmt.Appendf(nil, nginxConfig, user, runtime.NumCPU(), dir, registry.Host, address, token, scheme, trust))
	process := harness.StartProcess(t, "nginx", exec.Command(program, "-e", "stderr", "-p", dir, "-c", config))
	harness.Eventually(t, "nginx listens", func(ctx context.Context) error {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
	return "http://" + address, &Meter{PID: process.PID()}
}
