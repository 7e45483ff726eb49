"""How the API server is reached: by a kubeconfig or as a pod, which of them, and with whose rights."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.config import kube_config

from modelroute.errors import Invalid

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where a pod finds the namespace that it runs in."""

# The loader checks little of what is in the file before it uses it.
KUBECONFIG_ERRORS = (
    config.ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError
)  # fmt: skip


def configuration(kubeconfig: str | None = None, *, context: str | None = None) -> client.Configuration:
    """From `kubeconfig` (a path), else from the pod's ServiceAccount, else from $KUBECONFIG or the home directory.

    That is the operator's order; a person's is `of_a_person`'s.
    `context` names one of the kubeconfig's; None is its current one. Raises Invalid.
    """
    into = client.Configuration()
    try:
        if in_cluster(kubeconfig, context):
            config.load_incluster_config(client_configuration=into)
        else:
            config.load_kube_config(config_file=kubeconfig, context=context, client_configuration=into)
    except KUBECONFIG_ERRORS as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise Invalid(f"no way to reach the API server is configured: {told}") from error
    into.retries = urllib3.Retry(0)
    return into


def of_a_person(kubeconfig: str | None) -> str | None:
    """The kubeconfig that a person means, as kubectl finds it: `kubeconfig`, else $KUBECONFIG, else ~/.kube/config.

    None where there is none: in a pod its ServiceAccount is meant then, and only then. The operator asks for that
    first; but a job that runs in one cluster and was given a kubeconfig for another must not act on its own.
    """
    if kubeconfig is not None:
        return kubeconfig
    if named := os.environ.get("KUBECONFIG"):
        return named
    try:
        at_home = Path("~/.kube/config").expanduser()
    except RuntimeError:
        # A user without a name and without $HOME.
        return None
    return str(at_home) if at_home.is_file() else None


def in_cluster(kubeconfig: str | None, context: str | None) -> bool:
    """Whether the pod's own ServiceAccount is meant: nothing else is named, and this is a pod."""
    return kubeconfig is None and context is None and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def namespace_of(kubeconfig: str | None = None, *, context: str | None = None) -> str:
    """The namespace that the same credentials are set up for; "default" where nothing says."""
    if in_cluster(kubeconfig, context):
        return OWN_NAMESPACE.read_text(encoding="utf-8").strip() if OWN_NAMESPACE.is_file() else "default"
    try:
        # The client's own list of contexts needs a current one even where another is asked for.
        merged = kube_config.KubeConfigMerger(kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
        chosen = merged["contexts"].get_with_name(context or merged["current-context"])
        return str(chosen["context"].safe_get("namespace") or "default")
    except KUBECONFIG_ERRORS:
        return "default"


def contexts_of(kubeconfig: str | None = None) -> list[str]:
    """The names of the contexts of `kubeconfig` (a path; by default as above); none where it cannot be read."""
    try:
        merged = kube_config.KubeConfigMerger(kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
        return [str(each["name"]) for each in merged["contexts"].value]
    except KUBECONFIG_ERRORS:
        return []


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the API server, for whoever speaks to it otherwise; paths may be of temporary files."""

    server: str
    ca_path: str | None
    insecure: bool
    token: str | None
    certificate_path: str | None
    private_key_path: str | None


def connection(kubeconfig: str | None = None) -> Connection:
    """The same as `configuration`, in plain values; read anew on every call, because tokens are rotated."""
    into = configuration(kubeconfig)
    header = into.get_api_key_with_prefix("BearerToken", alias="authorization")
    # The client writes "Bearer" for a kubeconfig's token and "bearer" for a pod's.
    words = (header or "").split()
    return Connection(
        server=into.host,
        ca_path=into.ssl_ca_cert,
        insecure=not into.verify_ssl,
        token=words[-1] if words else None,
        certificate_path=into.cert_file,
        private_key_path=into.key_file,
    )
