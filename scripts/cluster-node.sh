#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The init of a cluster: scripts/cluster-node.sh STATE NAME, started by cluster-up.sh in namespaces of its own. It makes the
# node's network, starts everything, and ends when one of them does, all others with it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cluster-lib.sh
source "$root/scripts/cluster-lib.sh"
[[ $$ -eq 1 && $# -eq 2 ]] || { echo "usage: only cluster-up.sh starts this" >&2; exit 2; }
state=$1 name=$2
export PATH=$state/bin:/usr/local/sbin:/usr/sbin:/sbin:$PATH
trap 'exit 143' TERM

# What these programs write outside the cluster's directory stays in memory, and ends with the mount namespace.
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/own/{clusters,sysctl,lib,log}
mount --bind "$clusters" /run/own/clusters
for place in lib log; do
	mkdir "/run/own/$place/upper" "/run/own/$place/work"
	mount -t overlay -o "lowerdir=/var/$place,upperdir=/run/own/$place/upper,workdir=/run/own/$place/work" overlay "/var/$place"
done
mount --bind /run/own/clusters "$clusters"
# The kubelet sets these for the whole machine. It finds them as it wants them.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
	kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	file=/run/own/sysctl/${setting%=*}
	mkdir -p "$(dirname "$file")"
	echo "${setting#*=}" >"$file"
	mount --bind "$file" "/proc/sys/${setting%=*}"
done
hierarchies=(/sys/fs/cgroup/*)
if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then # version 2 has one, whose controllers its parent must pass on
	hierarchies=(/sys/fs/cgroup)
	read -r -a controllers </sys/fs/cgroup/cgroup.controllers
	for controller in "${controllers[@]}"; do
		echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
	done
fi
for hierarchy in "${hierarchies[@]}"; do
	[[ ! -e $hierarchy/cgroup.procs ]] || mkdir -p "$hierarchy/lsp-$name"
done

ip link set lo up
ip link add pods type bridge
ip address add "$node_ip/16" dev pods
ip link set pods up
# Services have addresses that no interface has: something must be a route to them.
ip route add default dev pods
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -P FORWARD ACCEPT
touch "$state/network"

declare -A names
# start NAME COMMAND…: its output goes to log/NAME.log.
start() {
	local name=$1
	shift
	"$@" >"$state/log/$name.log" 2>&1 &
	names[$!]=$name
}

# again COMMAND…: tests kill it, and it comes back.
# shellcheck disable=SC2317 # start calls it
again() {
	while true; do
		"$@" || echo "$1 ended with $?, it is started again"
		sleep 0.2
	done
}

start etcd etcd --data-dir /run/etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380
OTEL_TRACES_EXPORTER=none start registry registry serve "$state/etc/registry.yml"
start containerd containerd --config "$state/etc/containerd.toml"
start apiserver again kube-apiserver --etcd-servers http://127.0.0.1:2379 --bind-address "$node_ip" --advertise-address "$node_ip" \
	--cert-dir "$state/apiserver" --service-cluster-ip-range 10.96.0.0/16 --token-auth-file "$state/pki/tokens.csv" \
	--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
	--client-ca-file "$state/pki/ca.crt" \
	--service-account-issuer https://kubernetes.default.svc --service-account-key-file "$state/pki/service-accounts.key" \
	--service-account-signing-key-file "$state/pki/service-accounts.key" \
	--kubelet-preferred-address-types InternalIP \
	--kubelet-client-certificate "$state/pki/kubelet-client.crt" --kubelet-client-key "$state/pki/kubelet-client.key" \
	--requestheader-client-ca-file "$state/pki/front-proxy-ca.crt" --requestheader-allowed-names front-proxy \
	--requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
	--requestheader-extra-headers-prefix X-Remote-Extra- \
	--proxy-client-cert-file "$state/pki/front-proxy.crt" --proxy-client-key-file "$state/pki/front-proxy.key"
until [[ -s $state/apiserver/apiserver.crt && $(http_status GET 127.0.0.1:2379 /health) == 200 ]]; do sleep 0.1; done
start controller-manager kube-controller-manager --kubeconfig "$state/etc/controller-manager.kubeconfig" --leader-elect=false \
	--use-service-account-credentials --root-ca-file "$state/apiserver/apiserver.crt" \
	--service-account-private-key-file "$state/pki/service-accounts.key" --flex-volume-plugin-dir "$state/volume-plugins"
start scheduler kube-scheduler --kubeconfig "$state/etc/scheduler.kubeconfig" --leader-elect=false
start proxy kube-proxy --kubeconfig "$state/etc/proxy.kubeconfig" --proxy-mode iptables --conntrack-max-per-core 0 \
	--hostname-override "$name"
start kubelet kubelet --config "$state/etc/kubelet.yml" --kubeconfig "$state/etc/kubelet.kubeconfig" --node-ip "$node_ip" \
	--hostname-override "$name" --root-dir "$state/kubelet" --cert-dir "$state/kubelet-pki"

code=0
wait -n -p ended || code=$?
echo "${names[$ended]} ended, with $code, and everything with it"
exit 1
