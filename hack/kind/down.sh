#!/usr/bin/env bash
# Ends what up.sh made.
set -euo pipefail

kubeconfig=${KIND_KUBECONFIG:-${XDG_CACHE_HOME:-$HOME/.cache}/modelroute/kind.kubeconfig}
command -v kind >/dev/null || { echo "down.sh needs kind, which is not on PATH." >&2; exit 1; }
kind delete cluster --name modelroute --kubeconfig "$kubeconfig"
rm -f "$kubeconfig"
