#!/usr/bin/env bash
# A kind cluster with Traefik, Prometheus, two stand-in models and the operator, installed by its chart. For people with
# Docker; without it, `make up` runs the same on loopback. A second run brings the cluster up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cluster=modelroute
kubeconfig=${KIND_KUBECONFIG:-${XDG_CACHE_HOME:-$HOME/.cache}/modelroute/kind.kubeconfig}
gateway_api=$(sed -n 's/^require sigs.k8s.io\/gateway-api \(v[0-9.]*\).*/\1/p' hack/go/gateway-api/go.mod)

say() { printf '\n%s\n' "$*"; }

for program in docker kind kubectl helm; do
  command -v "$program" >/dev/null || { echo "up.sh needs $program, which is not on PATH." >&2; exit 1; }
done
docker info >/dev/null 2>&1 || { echo "up.sh needs Docker, and its daemon does not answer." >&2; exit 1; }

# A kubeconfig of its own: whatever cluster you work with stays the one that kubectl speaks to.
mkdir -p "$(dirname "$kubeconfig")"
export KUBECONFIG=$kubeconfig

say "Building the images"
docker build --quiet --tag modelroute/modelroute:dev .
docker build --quiet --file hack/kind/Dockerfile --tag modelroute/stand-in-model:dev hack

if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
  kind export kubeconfig --name "$cluster"
else
  say "Making the cluster"
  kind create cluster --config hack/kind/cluster.yaml --wait 3m
fi
kind load docker-image --name "$cluster" modelroute/modelroute:dev modelroute/stand-in-model:dev

say "Installing the Gateway API $gateway_api, Traefik, Prometheus and the models"
kubectl apply --server-side --filename \
  "https://github.com/kubernetes-sigs/gateway-api/releases/download/$gateway_api/standard-install.yaml"
kubectl wait --for=condition=Established --timeout=60s crd/httproutes.gateway.networking.k8s.io
kubectl apply --server-side --filename hack/kind/manifests/
# Images of the same tag are new ones after a rebuild.
kubectl --namespace chat rollout restart deployment
for place in traefik/traefik monitoring/prometheus chat/llama-70b chat/llama-8b; do
  kubectl --namespace "${place%/*}" rollout status "deployment/${place#*/}" --timeout=3m
done

say "Installing the operator"
helm upgrade --install modelroute charts/modelroute --namespace modelroute-system --create-namespace \
  --values hack/kind/values.yaml --set-string "podAnnotations.built=$(date +%s)" --wait --timeout 3m

cat <<EOF

The cluster is up.

  export KUBECONFIG=$kubeconfig
  kubectl apply -f examples/minimal.yaml
  kubectl get modelroutes,modelrollouts -n chat --watch

  gateway      http://127.0.0.1:8080      Prometheus  http://127.0.0.1:9090

  # Load, and a model that fails; .venv is made by \`make setup\`.
  PYTHONPATH=hack .venv/bin/python -m devstack.load --url http://127.0.0.1:8080 --host chat.example.com \\
    --rate 50 --duration 600 --log load.jsonl
  kubectl -n chat port-forward deployment/llama-8b 8001:8000 &
  curl -X PUT http://127.0.0.1:8001/control -d '{"fail_rate": 0.5}'

\`make kind-down\` ends it.
EOF
