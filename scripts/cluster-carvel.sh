#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Puts kapp-controller into a starting cluster: scripts/cluster-carvel.sh STATE KAPP-CONTROLLER PAUSE
#
# Both programs become images of one layer in the cluster's own registry: kapp-controller beside the Carvel tools that it
# calls, laid out as its Dockerfile does; pause, without which no pod starts. Only the API of secretgen-controller is
# installed: the controller itself cannot be had as a Go module.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cluster-lib.sh
source "$root/scripts/cluster-lib.sh"
[[ $# == 3 ]] || { echo "usage: scripts/cluster-carvel.sh STATE KAPP-CONTROLLER PAUSE" >&2; exit 2; }
state=$1 kapp_controller=$2 pause=$3
registry=$(cat "$state/registry")
crane=$(scripts/tool --path crane)
module=$(go -C "$root/tests/cluster/kapp-controller" list -m -f '{{.Dir}}' carvel.dev/kapp-controller)

crane() {
	SSL_CERT_FILE=$state/pki/ca.crt "$crane" "$@" >>"$state/log/crane.log" 2>&1 ||
		{ tail -n 5 "$state/log/crane.log" >&2; fail "crane $1 failed"; }
}

# image NAME DIR ARGUMENT…: DIR as the one layer of an image; ARGUMENT… as of crane mutate.
image() {
	local name=$1 dir=$2
	shift 2
	tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --directory "$dir" --file "$dir.tar" .
	crane append --oci-empty-base --new_layer "$dir.tar" --new_tag "$registry/$name"
	crane mutate "$registry/$name" --set-platform "linux/$(go env GOARCH)" --tag "$registry/$name" "$@"
	rm -rf "$dir" "$dir.tar"
}

mkdir -p "$state/pause"
cp "$pause" "$state/pause/pause"
image pause:1 "$state/pause" --entrypoint /pause

layer=$state/kapp-controller
mkdir -p "$layer"/{etc/pki/tls/certs,home/kapp-controller,tmp}
cp "$kapp_controller" "$layer/kapp-controller"
for tool in ytt kapp kbld imgpkg vendir; do
	path=$("$root/scripts/tool" --path "$tool")
	cp "$path" "$layer/$tool"
done
echo 'kapp-controller:x:1000:0:/home/kapp-controller:/usr/sbin/nologin' >"$layer/etc/passwd"
# The registry's CA is given as an operator gives it, in the configuration below.
: >"$layer/etc/pki/tls/certs/ca-bundle.crt"
: >"$layer/etc/pki/tls/certs/ca-bundle.crt.orig"
chmod -R a+rX "$layer"
chmod 0777 "$layer/etc/pki/tls/certs" "$layer/tmp" "$layer/home/kapp-controller"
chmod 0666 "$layer"/etc/pki/tls/certs/*
image kapp-controller:1 "$layer" --entrypoint /kapp-controller --user 1000 --env PATH=/

kubectl() { "$state/bin/kubectl" --cache-dir "$state/cache" --kubeconfig "$state/kubeconfig" "$@"; }
"$root/scripts/tool" ytt -f "$module/config/config" -f "$module/config/values-schema.yml" -f "$module/config-release/values-schema.yml" |
	sed "s|image: kapp-controller\$|image: $packages_registry/kapp-controller:1|" >"$state/etc/kapp-controller.yml"
kubectl apply --server-side -f "$state/etc/kapp-controller.yml" -f "$root/tests/cluster/secretgen-api.yml" >"$state/log/kapp-controller.log"
kubectl -n kapp-controller create secret generic kapp-controller-config --from-file=caCerts="$state/pki/ca.crt" >>"$state/log/kapp-controller.log"
