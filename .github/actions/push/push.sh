#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs kubectl lsp and pushes a tree from a CI job, with a token that the job has. Prints the image. The GitHub action
# and the GitLab template are this script. It needs bash and curl.
#
#   LSP_VERSION     the version of kubectl lsp; LSP_INSTALLER_SHA256 the SHA-256 of its install.sh
#   LSP_RELEASES    where the releases are
#   LSP_SERVER      the API server, https://host[:port]
#   LSP_CA_CERT     its CA certificates in PEM; empty: the system's
#   LSP_TOKEN       the token to show it; empty: GitHub makes one of this job's identity for LSP_AUDIENCE
#   LSP_NAME        the name of the source; LSP_PATH the tree; LSP_NAMESPACE the namespace, empty: default
#   LSP_OUTPUT      a file that gets the line image=REFERENCE; empty: none
set -euo pipefail
set +x # tokens are in variables

fail() {
	echo "kubectl lsp in CI: $*" >&2
	exit 2
}

# identity: the token that GitHub makes of this job. The right to ask for it is not on a command line either.
identity() {
	[[ -n ${ACTIONS_ID_TOKEN_REQUEST_URL:-} && -n ${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-} ]] ||
		fail "there is no token, and this job may not ask GitHub for one: set token, or give the job permissions: {id-token: write}"
	curl --silent --show-error --fail --max-time 60 --get --data-urlencode "audience=${LSP_AUDIENCE:-kubernetes}" --config - \
		"$ACTIONS_ID_TOKEN_REQUEST_URL" <<<"header = \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\"" |
		sed -n 's/.*"value" *: *"\([^"]*\)".*/\1/p' || fail "GitHub made no token for the audience ${LSP_AUDIENCE:-kubernetes}"
}

[[ ${LSP_SERVER:-} =~ ^https://[A-Za-z0-9.:/_-]+$ ]] ||
	fail "server is not https://host[:port]: a token is shown to nothing else"
[[ -n ${LSP_NAME:-} ]] || fail "name is empty: it is the name of the source"
[[ ${LSP_VERSION:-} =~ ^[0-9]+\.[0-9]+\.[0-9A-Za-z.-]+$ ]] || fail "version is none: write 0.3.0"

# All of it goes with the script, also when the job is cancelled. Nobody else may look into it.
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The installer compares what it installs. What it is, the job says.
release=$LSP_RELEASES/v$LSP_VERSION
curl --silent --show-error --fail --location --max-time 300 --output "$work/install.sh" "$release/install.sh" ||
	fail "$release/install.sh cannot be downloaded"
sum=$({ sha256sum 2>/dev/null || shasum -a 256; } <"$work/install.sh" | cut -d' ' -f1)
[[ $sum == "${LSP_INSTALLER_SHA256:-}" ]] ||
	fail "install.sh of $LSP_VERSION has the SHA-256 $sum, and not what installer-sha256 says. It was not run"
sh "$work/install.sh" --to "$work/bin" --from "$release" >&2

token=${LSP_TOKEN:-}
[[ -n $token ]] || token=$(identity)
[[ $token =~ ^[A-Za-z0-9._~+/=-]+$ ]] || fail "the token is none: it is empty, or has characters that a token has not"
[[ ${GITHUB_ACTIONS:-} != true ]] || echo "::add-mask::$token"
ca=''
[[ -z ${LSP_CA_CERT:-} ]] || ca="certificate-authority-data: $(base64 <<<"$LSP_CA_CERT" | tr -d '\n')"
cat >"$work/kubeconfig" <<END
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: "$LSP_SERVER"
    $ca
users:
- name: job
  user:
    token: "$token"
contexts:
- name: push
  context: {cluster: cluster, user: job}
current-context: push
END

flags=(--kubeconfig "$work/kubeconfig" --name "$LSP_NAME" --local-path "${LSP_PATH:-.}")
[[ -z ${LSP_NAMESPACE:-} ]] || flags+=(--namespace "$LSP_NAMESPACE")
image=$("$work/bin/kubectl-lsp" push "${flags[@]}")
echo "$image"
[[ -z ${LSP_OUTPUT:-} ]] || echo "image=$image" >>"$LSP_OUTPUT"
