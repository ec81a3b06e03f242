#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Removes the cluster CLUSTER (default: play): ends its processes, and removes its directory and its cgroups. Does nothing
# when there is none.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cluster-lib.sh
source "$root/scripts/cluster-lib.sh"
name=${CLUSTER:-play}
check_name "$name"
state=$clusters/$name
[[ -e $state ]] || { say "there is no cluster $name"; exit 0; }
need_root

relay=$(cat "$state/relay.pid" 2>/dev/null || true)
# shellcheck disable=SC2009
if [[ -n $relay ]] && tr '\0' ' ' 2>/dev/null <"/proc/$relay/cmdline" | grep -q 'cluster-relay-'; then
	kill "$relay" || true
fi
if init=$(init_of "$state"); then
	# With the init of a PID namespace the kernel ends everything in it.
	kill -KILL "$init"
	while [[ -e /proc/$init ]]; do sleep 0.1; done
fi
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
	[[ -d $hierarchy/lsp-$name ]] || continue
	# A cgroup is busy for a moment after its last process.
	for _ in {1..600}; do
		find "$hierarchy/lsp-$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[[ -d $hierarchy/lsp-$name ]] || break
		sleep 0.1
	done
	[[ ! -d $hierarchy/lsp-$name ]] || fail "$hierarchy/lsp-$name cannot be removed: processes are left in it"
done
rm -rf "$state"
rmdir "$clusters" 2>/dev/null || true
say "the cluster $name is gone"
