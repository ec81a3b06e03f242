#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes keys, tokens and settings of a cluster: scripts/cluster-settings.sh STATE NAME
#
# Everybody but the kubelet's own caller is known to the API server by a token; they are random and live as long as STATE.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cluster-lib.sh
source "$root/scripts/cluster-lib.sh"
[[ $# == 2 ]] || { echo "usage: scripts/cluster-settings.sh STATE NAME" >&2; exit 2; }
state=$1 name=$2
cd "$state/pki"
log=$state/log/openssl.log

# certificate FILE SUBJECT EXTENSION [CA]: a key and a certificate of a CA, of ours unless another one is named.
certificate() {
	local ca=${4:-ca}
	openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -subj "$2" -out "$1.csr" 2>>"$log"
	openssl x509 -req -in "$1.csr" -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial -days 7 -extfile <(echo "$3") -out "$1.crt" 2>>"$log"
}
openssl req -x509 -newkey rsa:2048 -nodes -days 7 -keyout ca.key -out ca.crt -subj "/CN=cluster $name" \
	-addext basicConstraints=critical,CA:TRUE 2>>"$log"
# The API server shows itself to aggregated APIs by a certificate of a CA that is for this alone (--requestheader-client-ca-file).
front_proxy_ca() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 7 -keyout "$1.key" -out "$1.crt" -subj "/CN=$1 $name" \
		-addext basicConstraints=critical,CA:TRUE 2>>"$log"
}
front_proxy_ca front-proxy-ca
certificate front-proxy /CN=front-proxy extendedKeyUsage=clientAuth front-proxy-ca
# For tests: another name by the same CA; and what the CA is rotated to.
certificate front-proxy-other /CN=other extendedKeyUsage=clientAuth front-proxy-ca
front_proxy_ca front-proxy-ca-next
certificate front-proxy-next /CN=front-proxy extendedKeyUsage=clientAuth front-proxy-ca-next
certificate kubelet-client /O=system:masters/CN=kube-apiserver extendedKeyUsage=clientAuth
certificate registry /CN=registry "subjectAltName=IP:$node_ip,IP:127.0.0.1"
openssl genrsa -out service-accounts.key 2048 2>>"$log"

# user FILE NAME [GROUPS]: a line of the API server's token file, and the token in FILE.token.
user() {
	openssl rand -hex 24 >"$1.token"
	echo "$(cat "$1.token"),$2,$2,\"${3:-}\"" >>tokens.csv
}
user admin admin system:masters
user controller-manager system:kube-controller-manager
user scheduler system:kube-scheduler
user proxy system:kube-proxy
user kubelet "system:node:$name" system:nodes
user developer developer
user colleague colleague team-a

cd "$state/etc"
for component in controller-manager scheduler proxy kubelet; do
	cat >"$component.kubeconfig" <<-EOT
		apiVersion: v1
		kind: Config
		current-context: here
		contexts: [{name: here, context: {cluster: here, user: here}}]
		clusters: [{name: here, cluster: {server: "https://$api_server", certificate-authority: $state/apiserver/apiserver.crt}}]
		users: [{name: here, user: {tokenFile: $state/pki/$component.token}}]
	EOT
done

cat >kubelet.yml <<EOT
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: $state/pki/ca.crt}}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /lsp-$name
failCgroupV1: false
failSwapOn: false
resolvConf: $state/etc/resolv.conf
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
volumePluginDir: $state/volume-plugins
EOT
: >resolv.conf

cat >containerd.toml <<EOT
version = 2
root = "$state/containerd"
[plugins."io.containerd.internal.v1.opt"]
  path = "$state/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$packages_registry/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/etc/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$state/etc/hosts"
EOT
mkdir -p cni "hosts/$packages_registry"
printf '[host."https://%s"]\n  ca = "%s"\n' "$packages_registry" "$state/pki/ca.crt" >"hosts/$packages_registry/hosts.toml"
cat >cni/10-bridge.conflist <<EOT
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true, "ipam": {
    "type": "host-local", "routes": [{"dst": "0.0.0.0/0"}],
    "ranges": [[{"subnet": "10.77.0.0/16", "rangeStart": "10.77.1.1", "rangeEnd": "10.77.9.254", "gateway": "$node_ip"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOT
cat >registry.yml <<EOT
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $state/packages}, delete: {enabled: true}}
http: {addr: "$packages_registry", tls: {certificate: $state/pki/registry.crt, key: $state/pki/registry.key}}
EOT
