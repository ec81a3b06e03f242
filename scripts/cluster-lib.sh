# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the cluster's scripts share. Sourced after lib.sh, never run.
#
# A cluster is one directory and one tree of processes. The directory, below $clusters, is named as the cluster is; the tree
# hangs on the init of a PID namespace, with a network and a mount namespace of its own. End that process and the kernel ends
# all others and forgets mounts, interfaces and firewall rules. What then remains is the directory and the pods' cgroups.
# shellcheck disable=SC2034 # those that source this use it, as what follows
clusters=/var/lib/lsp-clusters

# In every cluster's own network: the node, the API server and the registry with the packages.
# shellcheck disable=SC2034
node_ip=10.77.0.1 api_server=10.77.0.1:6443 packages_registry=10.77.0.1:5000

# need_root: ends with one line when this machine does not let us make namespaces.
need_root() {
	[[ $EUID -eq 0 ]] || { echo "${0##*/}: a real cluster needs root: run it again with sudo" >&2; exit 3; }
	unshare --mount --pid --net --fork true 2>/dev/null ||
		{ echo "${0##*/}: this machine lets root make no namespaces: give the container CAP_SYS_ADMIN, or use a virtual machine" >&2; exit 3; }
}

# init_of STATE: prints the process id of the cluster's init, as this machine knows it; fails when it does not run.
init_of() {
	local outer inner
	outer=$(cat "$1/unshare.pid" 2>/dev/null) || return 1
	# A process id may have been given to somebody else since: ours has the directory in its command line.
	tr '\0' ' ' 2>/dev/null <"/proc/$outer/cmdline" | grep -qF -- "$1" || return 1
	inner=$(tr -d ' ' <"/proc/$outer/task/$outer/children") || return 1
	[[ -n $inner ]] && echo "$inner"
}

# check_name NAME: what may be a directory's name, a node's and a cgroup's.
check_name() {
	[[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$ ]] ||
		{ echo "${0##*/}: CLUSTER \"$1\": lower-case letters, digits and dashes, at most 30" >&2; exit 2; }
}
