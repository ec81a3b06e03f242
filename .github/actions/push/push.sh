#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Pushes a tree from a CI job with a token that the job has, and prints the image. The GitHub action and the GitLab
# template are this script. It needs kubectl-lsp in PATH, and curl where GitHub makes the token.
#
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
	curl --silent --show-error --fail --max-time 60 --get --data-urlencode "audience=$LSP_AUDIENCE" --config - \
		"$ACTIONS_ID_TOKEN_REQUEST_URL" <<<"header = \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\"" |
		sed -n 's/.*"value" *: *"\([^"]*\)".*/\1/p' || fail "GitHub made no token for the audience $LSP_AUDIENCE"
}

[[ ${LSP_SERVER:-} =~ ^https://[A-Za-z0-9.:/_-]+$ ]] ||
	fail "server is not https://host[:port]: a token is shown to nothing else"
[[ -n ${LSP_NAME:-} ]] || fail "name is empty: it is the name of the source"
token=${LSP_TOKEN:-}
[[ -n $token ]] || token=$(identity)
[[ $token =~ ^[A-Za-z0-9._~+/=-]+$ ]] || fail "the token is none: it is empty, or has characters that a token has not"
[[ ${GITHUB_ACTIONS:-} != true ]] || echo "::add-mask::$token"

# mktemp makes the file for this user alone. It goes with the script, also when the job is cancelled.
config=$(mktemp "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/kubeconfig.XXXXXX")
trap 'rm -f "$config"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
ca=''
[[ -z ${LSP_CA_CERT:-} ]] || ca="certificate-authority-data: $(base64 <<<"$LSP_CA_CERT" | tr -d '\n')"
cat >"$config" <<END
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

flags=(--kubeconfig "$config" --name "$LSP_NAME" --local-path "${LSP_PATH:-.}")
[[ -z ${LSP_NAMESPACE:-} ]] || flags+=(--namespace "$LSP_NAMESPACE")
image=$(kubectl-lsp push "${flags[@]}")
echo "$image"
[[ -z ${LSP_OUTPUT:-} ]] || echo "image=$image" >>"$LSP_OUTPUT"
