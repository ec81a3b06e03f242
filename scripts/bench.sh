#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/bench.sh [--record] [FLAG…]: measures the proxy beside the straight way and nginx, and prints a table. The raw values go
# to tests/bench/results/latest.json, or with --record to report.json there and into the tables of tests/bench/README.md.
# Flags of the benchmark: -only PART,… and -runs N. scripts/bench.sh --table only writes those tables again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
results=$root/tests/bench/results
name=latest
case ${1:-} in
--table)
	exec go -C tests test -count=1 ./bench -run TestFindings -update
	;;
--record)
	name=report
	shift
	;;
esac

say 'building what is missing'
scripts/build.sh
LSP_TOOL_REGISTRY=$(scripts/tool --path registry)
export LSP_BINARY=$root/bin/local-source-proxy LSP_TOOL_REGISTRY
scripts/debian.sh nginx || echo "bench: without nginx its column stays empty"

# asked PART: whether -only does not leave it out.
arguments=" $* "
asked() { [[ $arguments != *" -only "* || $arguments =~ [\ ,]$1[\ ,] ]]; }

bundle=''
if asked image; then
	scripts/package.sh
	bundle=$root/dist/local-source-proxy.tar
fi

# The API server takes no endpoint on loopback. So all of the benchmark runs in a network namespace of its own, where it has
# another address, too, and nothing of this machine's network changes.
export LSP_BENCH_PLUGIN=$root/bin/kubectl-lsp LSP_BENCH_ADDRESS=10.77.0.1 LSP_BENCH_KUBERNETES='' LSP_BENCH_MISSING=''
network=()
if ! asked distance; then
	LSP_BENCH_MISSING='not asked for'
elif [[ $EUID -ne 0 ]]; then
	LSP_BENCH_MISSING='it needs root, for a network namespace'
elif ! unshare --net true 2>/dev/null; then
	LSP_BENCH_MISSING='this machine lets root make no network namespace'
elif ! built=$(scripts/cluster-build.sh); then
	LSP_BENCH_MISSING='Kubernetes could not be built'
else
	LSP_BENCH_KUBERNETES=$(sed -n 's/^kubernetes=//p' <<<"$built")
	# shellcheck disable=SC2016 # the inner shell expands them
	network=(unshare --net bash -c 'ip link set lo up && ip address add "$0/32" dev lo && exec "$@"' "$LSP_BENCH_ADDRESS")
fi

work=$(mktemp -d)
memory=$(mktemp -d /dev/shm/lsp-bench.XXXXXX 2>/dev/null || true)
pid=''
cleanup() {
	[[ -z $pid ]] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
	rm -rf "$work" ${memory:+"$memory"}
}
trap cleanup EXIT
trap 'exit 130' INT TERM
go -C tests test -c -o "$work/bench" ./bench
: >"$work/log" # there before it is read for the first time
say 'measuring: about 20 minutes on two idle cores; blobs are kept in memory where it has 16 GiB free'
(cd tests/bench && exec "${network[@]}" "$work/bench" -test.run '^TestBench$' -test.timeout 2h -test.v -full -memory "$memory" \
	-bundle "$bundle" -results "$results/$name.json" "$@") >"$work/log" 2>&1 &
pid=$!
# The log of a failure is long; what people want to see of a run is one line a part, and the table.
tail -n +1 -f --pid="$pid" "$work/log" | while IFS= read -r line; do
	[[ ! $line =~ ^\ +bench_test\.go:[0-9]+:\ (.*\ runs\ in\ .*|left\ out.*)$ ]] || echo "   ${BASH_REMATCH[1]}"
done
measured=$pid pid=''
wait "$measured" || { tail -n 100 "$work/log" >&2 && fail 'the benchmark failed; the end of its log is above'; }
sed -n '/what was measured:/,/^---/p' "$work/log" | sed -e '1d' -e '/^---/d' -e 's/^        //'
[[ $name == latest ]] || go -C tests test -count=1 ./bench -run TestFindings -update
echo "bench: tests/bench/results/$name.json"
