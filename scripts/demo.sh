#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The main job from nothing, on loopback: a registry that wants a token (distribution v3 and a token server), the proxy
# with the operator's credential in front of it, and a developer without any who pushes a directory. What arrived is
# pulled from the registry and compared. Nothing is left behind.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

work=$(mktemp -d "${TMPDIR:-/tmp}/lsp-demo.XXXXXX")
pids=()
# Several processes were started; each ends by its own id.
cleanup() {
	[[ ${#pids[@]} -eq 0 ]] || { kill "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# start NAME COMMAND…: runs it in the background, its output in $work/NAME.log.
start() {
	local name=$1
	shift
	"$@" >"$work/$name.log" 2>&1 &
	pids+=($!)
}

# await NAME COMMAND…: until the command succeeds, at most two minutes and not longer than the process NAME, started last.
await() {
	local name=$1 pid=${pids[-1]}
	shift
	for _ in {1..1200}; do
		! "$@" || return 0
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	sed "s/^/  $name: /" "$work/$name.log" >&2
	fail "$name did not get ready; its log is above"
}

# logged NAME EXPRESSION: sets $found to what the sed expression makes of the first line of a log that it matches.
logged() {
	found=$(sed -nE "s#$2#\\1#p" "$work/$1.log" | head -n 1)
	[[ -n $found ]]
}

# client CONFIG ARGUMENT…: imgpkg with the docker config of the directory CONFIG and nothing else of the user's.
client() {
	env -i PATH="$PATH" HOME="$1" DOCKER_CONFIG="$1" "$imgpkg" "${@:2}"
}

say 'building what is missing'
scripts/build.sh
imgpkg=$(scripts/tool --path imgpkg)
registry_program=$(scripts/tool --path registry)
CGO_ENABLED=0 go -C tests build -o "$work/tokenserver" ./cmd/tokenserver

began=$SECONDS
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
mkdir "$work/operator" "$work/developer" "$work/storage"
(umask 077 && printf '%s' "$password" >"$work/password")

say 'starting a registry that demands a token'
start tokenserver "$work/tokenserver" --user operator --password-file "$work/password" \
	--grant 'repository:demo/source:pull,push' --service demo --issuer demo --cert-out "$work/token-cert.pem"
await tokenserver logged tokenserver '^(http://.*)$'
realm=$found
cat >"$work/registry.yml" <<EOT
version: 0.1
log: {formatter: json}
storage: {filesystem: {rootdirectory: $work/storage}}
http: {addr: "127.0.0.1:0"}
auth: {token: {realm: "$realm", service: demo, issuer: demo, rootcertbundle: $work/token-cert.pem}}
EOT
OTEL_TRACES_EXPORTER=none start registry "$registry_program" serve "$work/registry.yml"
await registry logged registry '.*"msg":"listening on ([0-9.:]+)".*'
registry=$found
echo "   registry $registry, token server $realm"

say 'starting the proxy: it alone has the credential'
printf 'repository: %s/demo/source\n' "$registry" >"$work/values.yml"
printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$registry" "$(printf 'operator:%s' "$password" | base64 -w 0)" \
	>"$work/operator/config.json"
start proxy bin/local-source-proxy serve --listen-address 127.0.0.1:0 --admin-address 127.0.0.1:0 \
	--values-file "$work/values.yml" --docker-config "$work/operator/config.json" --log-format json
await proxy logged proxy '.*"msg":"serving".*"door":"source".*"address":"([0-9.:]+)".*'
proxy=$found
await proxy logged proxy '.*"msg":"serving".*"door":"admin".*"address":"([0-9.:]+)".*'
admin=$found
ready() {
	[[ $(http_status GET "$admin" /readyz) == 200 ]]
}
await proxy ready
echo "   proxy $proxy, health and metrics on $admin"

say 'a developer without any credential pushes to the registry: refused'
status=$(http_status POST "$registry" /v2/demo/source/blobs/uploads/)
[[ $status == 401 ]] || fail "the registry answered $status to a push without credential, not 401"
! client "$work/developer" push -i "$registry/demo/source:direct" -f src >"$work/direct.log" 2>&1 ||
	fail "the registry took a push without credential"
echo "   $status: $(grep -m 1 -oE 'UNAUTHORIZED[^;]*' "$work/direct.log" || tail -n 1 "$work/direct.log")"

say 'the same developer pushes src/ through the proxy'
client "$work/developer" push --tty -i "$proxy/source:demo" -f src >"$work/push.log" 2>&1 ||
	{ cat "$work/push.log" && tail -n 20 "$work/proxy.log" && fail "the push through the proxy failed"; } >&2
digest=$(grep -oE 'sha256:[0-9a-f]{64}' "$work/push.log" | tail -n 1) ||
	{ cat "$work/push.log" && fail "imgpkg named no digest"; } >&2
echo "   $(find src -type f | wc -l) files as $digest"

say 'the operator pulls it from the registry and compares'
client "$work/operator" pull -i "$registry/demo/source@$digest" -o "$work/pulled" >"$work/pull.log" 2>&1 ||
	{ cat "$work/pull.log" && fail "pulling from the registry failed"; } >&2
diff -r src "$work/pulled" || fail "what arrived differs"
! grep -qF "$password" "$work/proxy.log" || fail "the proxy logged the password"
echo '   every file is the same'

echo "demo: $registry/demo/source:demo is $digest, $((SECONDS - began)) s"
