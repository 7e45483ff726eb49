# The package around the operator: its chart, its image, and what Argo CD, Flux and kind need. Included by the Makefile.

IMAGE ?= modelroute/modelroute:dev
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' operator/modelroute/__init__.py)
# Where a release goes: a registry and a path in it, which the release's workflow sets.
REGISTRY ?= $(error set REGISTRY to where images and charts are kept, for example REGISTRY=registry.example.com/team)

.PHONY: packaging charts package-files image chart release kind-up kind-down

packaging: charts ## tests of the chart, the image, Argo CD's scripts, Flux's expressions and the scripts for kind
	$(PY) -m pytest tests/packaging

charts: setup ## get helm, helm-unittest, kubeconform and actionlint
	@$(PY) -m controlplane --quiet --charts

package-files: setup ## write anew what the chart and argocd-cm.yaml repeat of other files
	$(PY) -m package_files

image: ## build the operator's image with Docker: IMAGE=…
	docker build --tag $(IMAGE) --build-arg VERSION=$(VERSION) .

chart: charts ## package the chart into dist/
	"$$($(PY) -m controlplane --path helm)" package --destination dist charts/modelroute

release: chart ## push the image and the chart of this version to REGISTRY=…
	$(MAKE) image IMAGE=$(REGISTRY)/modelroute:$(VERSION)
	docker push $(REGISTRY)/modelroute:$(VERSION)
	"$$($(PY) -m controlplane --path helm)" push dist/modelroute-$(VERSION).tgz oci://$(REGISTRY)/charts

kind-up: ## a kind cluster with Traefik, Prometheus and the operator, for people with Docker
	hack/kind/up.sh

kind-down: ## end it
	hack/kind/down.sh
