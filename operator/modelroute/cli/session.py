"""What a command of the plugin stands on: a way to the API server, a clock, and the options that choose them.

Tests hand in a `Session` of their own as click's `obj`; a person gets one that speaks to the cluster of the kubeconfig.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import click

from modelroute.cli.completing import complete_contexts, complete_names, complete_namespaces
from modelroute.errors import Invalid, ModelRouteError

Json = dict[str, Any]
_CHOOSING = frozenset({"namespace", "kubeconfig", "kube_context"})
F = TypeVar("F", bound=Callable[..., Any])


class Cluster(Protocol):
    """What `modelroute.cluster.reader.Reader` offers; an empty namespace means all of them."""

    namespace: str

    def route(self, namespace: str, name: str) -> Json | None: ...

    def rollout(self, namespace: str, name: str) -> Json | None: ...

    def routes(self, namespace: str) -> list[Json]: ...

    def rollouts(self, namespace: str, route: str) -> list[Json]: ...

    def events(self, namespace: str, name: str, uid: str) -> list[Json]: ...

    def table(self, namespace: str) -> Json: ...

    def rollout_table(self, namespace: str) -> Json: ...

    def namespaces(self) -> list[str]: ...

    def annotate(self, namespace: str, name: str, annotation: str, value: str, *, version: str) -> Json: ...


@dataclass(frozen=True, slots=True)
class Session:
    """`namespace` is the one that the person means; `now` gives unix seconds, `sleep` takes seconds."""

    cluster: Cluster
    namespace: str
    now: Callable[[], float] = field(default=time.time)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def must_get(self, name: str) -> Json:
        """The ModelRoute of that name. Raises Invalid where there is none."""
        found = self.cluster.route(self.namespace, name)
        if found is None:
            raise Invalid(
                f"there is no ModelRoute {name} in namespace {self.namespace}: `{program_name()} get -A` lists all "
                "that you may see"
            )
        return found


def program_name() -> str:
    """How the user called us: `modelroute` or `kubectl modelroute`."""
    context = click.get_current_context(silent=True)
    return (context.find_root().info_name if context is not None else None) or "modelroute"


def open_session(context: click.Context, **how: Any) -> Session:
    """The session that the options of the command ask for; `how` is `open_reader`'s. Raises Invalid, Unavailable."""
    chosen = context.params
    given = context.find_object(Session)
    if given is None:
        # Here, because the kubernetes client takes half a second to load, and `--help` needs none of it.
        from modelroute.cluster.reader import open_reader

        cluster = open_reader(chosen.get("kubeconfig"), chosen.get("kube_context"), **how)
        given = Session(cluster, cluster.namespace)
    namespace = chosen.get("namespace") or given.namespace
    return Session(given.cluster, namespace, given.now, given.sleep)


def on_cluster(command: Callable[..., Any]) -> Callable[..., Any]:
    """-n, --context and --kubeconfig, as kubectl has them; `command` gets the session that they choose first."""

    def run(**given: Any) -> Any:
        # open_session finds the options among the context's parameters.
        others = {name: value for name, value in given.items() if name not in _CHOOSING}
        try:
            return command(open_session(click.get_current_context()), **others)
        except ModelRouteError as error:
            raise click.ClickException(str(error)) from error

    return choosing(functools.update_wrapper(run, command))


def choosing(command: F) -> F:
    """-n, --context and --kubeconfig: `namespace`, `kube_context` and `kubeconfig`, None where not given."""
    for option in (
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False),
            help="The kubeconfig; default: $KUBECONFIG, else ~/.kube/config, else in a pod its ServiceAccount.",
        ),
        click.option(
            "--context",
            "kube_context",
            shell_complete=complete_contexts,
            help="The context of the kubeconfig; default: its current one.",
        ),
        click.option(
            "-n", "--namespace", shell_complete=complete_namespaces, help="The namespace; default: the context's."
        ),
    ):
        command = option(command)
    return command


def name_argument(command: F) -> F:
    """NAME of a ModelRoute, completed by the shell."""
    return click.argument("name", shell_complete=complete_names)(command)
