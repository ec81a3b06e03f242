#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the proxy with a registry inside it, and prints what to type. Ctrl-C ends it; nothing is kept.
# LISTEN_ADDRESS and ADMIN_ADDRESS change where it listens.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
listen=${LISTEN_ADDRESS:-127.0.0.1:5002}
admin=${ADMIN_ADDRESS:-127.0.0.1:8081}
program=$root/bin/local-source-proxy
[[ -x $program ]] || fail "bin/local-source-proxy is missing: make build"

cat <<EOT
Local Source Proxy with a registry inside: $listen, health and metrics on $admin. Ctrl-C ends it.
In another terminal:

  curl -s http://$listen/health
  scripts/tool imgpkg push -i $listen/source:hello -f src
  curl -s http://$admin/metrics | grep -v '^#'

EOT
exec "$program" serve --embedded-registry --listen-address "$listen" --admin-address "$admin" --log-format text
