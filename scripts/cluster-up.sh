#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Starts a Kubernetes cluster of one node, with kapp-controller and a registry in it, and prints how to use it. CLUSTER (default:
# play) tells several apart. scripts/cluster-down.sh removes it without a trace. tests/cluster/README.md says how it is made.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cluster-lib.sh
source "$root/scripts/cluster-lib.sh"
cd "$root"
name=${CLUSTER:-play}
check_name "$name"
need_root
state=$clusters/$name

usage() {
	echo "export KUBECONFIG=$state/kubeconfig"
	echo "   kubectl is $state/bin/kubectl; the registry for packages is $(cat "$state/registry") here and $packages_registry inside, its CA $state/pki/ca.crt"
	echo "   make cluster-down CLUSTER=$name removes it all"
}

if init_of "$state" >/dev/null && [[ -e $state/ready ]]; then
	say "the cluster $name runs already"
	usage
	exit 0
fi
! init_of "$state" >/dev/null || fail "the cluster $name is there but did not get ready: make cluster-down CLUSTER=$name"
[[ ! -e $state ]] || scripts/cluster-down.sh

say 'building what is missing'
kubernetes='' kapp_controller='' pause='' relay=''
built=$(scripts/cluster-build.sh)
eval "$built"
registry=$(scripts/tool --path registry)

say "starting the cluster $name: logs in $state/log"
mkdir -p "$clusters"
# Tokens and keys are below.
mkdir -m 0700 "$state"
mkdir "$state"/{bin,log,pki,etc}
# Pods' logs are read by the kubelet's own user only; what runs in pods is not root, but sees none of this.
for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
	ln "$kubernetes" "$state/bin/$program" 2>/dev/null || ln -s "$kubernetes" "$state/bin/$program"
done
ln -s "$registry" "$state/bin/registry"
scripts/cluster-settings.sh "$state" "$name"
setsid unshare --mount --propagation private --pid --net --fork --kill-child --mount-proc \
	"$root/scripts/cluster-node.sh" "$state" "$name" </dev/null >"$state/log/node.log" 2>&1 &
echo $! >"$state/unshare.pid"

# await WHAT COMMAND…: until it succeeds, at most two minutes and not longer than the cluster runs.
await() {
	local what=$1 deadline=$((SECONDS + 120))
	shift
	until "$@" >/dev/null 2>&1; do
		if ! init_of "$state" >/dev/null || [[ $SECONDS -ge $deadline ]]; then
			tail -n 5 "$state"/log/*.log | cut -c 1-300 >&2
			fail "$what: not after $((SECONDS - began)) s; logs above and in $state/log"
		fi
		sleep 0.2
	done
	echo "   $what: $((SECONDS - began)) s"
}

began=$SECONDS
for _ in {1..600}; do ! init_of "$state" >/dev/null || break; sleep 0.1; done
await 'network' test -e "$state/network"
setsid "$relay" "$(init_of "$state")" "$api_server" "$packages_registry" </dev/null >"$state/relay" 2>"$state/log/relay.log" &
echo $! >"$state/relay.pid"
await 'relay' test -s "$state/relay"
read -r api _ <"$state/relay"
sed -n 's/^[^ ]* //p' "$state/relay" >"$state/registry"
kubectl() { "$state/bin/kubectl" --cache-dir "$state/cache" --kubeconfig "$state/kubeconfig" "$@"; }

await 'API server' test -s "$state/apiserver/apiserver.crt"
# kubeconfig FILE SERVER: as the administrator.
kubeconfig() {
	local line
	for line in "config set-cluster $name --server=https://$2 --certificate-authority=$state/apiserver/apiserver.crt --embed-certs --tls-server-name=kubernetes.default.svc" \
		"config set-credentials admin --token=$(cat "$state/pki/admin.token")" \
		"config set-context $name --cluster=$name --user=admin" "config use-context $name"; do
		# shellcheck disable=SC2086
		"$state/bin/kubectl" --kubeconfig "$1" $line >/dev/null
	done
}
kubeconfig "$state/kubeconfig" "$api"
kubeconfig "$state/kubeconfig.inside" "$api_server"
await 'API server ready' kubectl get --raw /readyz
await 'node ready' kubectl wait --for=condition=Ready "node/$name" --timeout=5s

say 'installing kapp-controller'
scripts/cluster-carvel.sh "$state" "$kapp_controller" "$pause"
await 'kapp-controller ready' kubectl -n kapp-controller wait --for=condition=Available deployment/kapp-controller --timeout=5s
await 'packaging API' kubectl get packages -A
touch "$state/ready"
usage
