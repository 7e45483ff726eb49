# The operator's image; `modelroute` with its other commands is in it, too. No shell is needed to run it, nothing in it is
# writable, and nothing runs as root.
#
#   docker build --tag modelroute/modelroute:dev .
#
# The tag names a release of Python, the oldest minor that the tests run on; a digest can be added to it:
#   --build-arg PYTHON=3.11.14-slim-bookworm@sha256:…
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /build
COPY hack/image/requirements.txt ./
# Every package by its hash, none of them built here; pip itself stays behind.
RUN python -m venv --without-pip /opt/modelroute \
 && pip --python /opt/modelroute/bin/python install --require-hashes --only-binary=:all: --requirement requirements.txt
COPY operator/modelroute /opt/modelroute/source/modelroute
# What pip would make of [project.scripts], for `kubectl exec … -- modelroute` and `docker run … plan`.
RUN printf '%s\n' '#!/opt/modelroute/bin/python' 'import sys' 'from modelroute.cli.main import main' 'sys.exit(main())' \
      > /opt/modelroute/bin/modelroute \
 && chmod 755 /opt/modelroute/bin/modelroute
# Compiled now, because nothing can be written later; checked by hash, because a layer does not keep times.
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/modelroute

FROM python:${PYTHON} AS operator
ARG VERSION=dev
LABEL org.opencontainers.image.title="modelroute" \
      org.opencontainers.image.description="Canary rollouts of language models on a Gateway API gateway" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /opt/modelroute /opt/modelroute
COPY LICENSE /opt/modelroute/LICENSE
# The C library would give each thread an arena of its own, which fills for an hour and saves nothing: docs/soak.md.
ENV PATH=/opt/modelroute/bin:$PATH \
    PYTHONPATH=/opt/modelroute/source \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2
# By number, so that runAsNonRoot can be checked without looking into the image.
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080 8081
ENTRYPOINT ["modelroute"]
CMD ["--help"]
