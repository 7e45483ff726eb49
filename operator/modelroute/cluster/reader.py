"""The API server as a person's commands see it: one call at a time, with the rights of the person's kubeconfig.

The operator's adapters are asynchronous and know one set of credentials; a command asks a few things, in order, through
the context that the person named.
"""

from __future__ import annotations

from typing import Any

from modelroute.cluster.client import (
    EVENTS,
    MODEL_ROLLOUTS,
    MODEL_ROUTES,
    NAMES_ONLY,
    NAMESPACES,
    READ_TIMEOUT_S,
    Json,
    Kind,
    NotFound,
    Objects,
    path_of,
)
from modelroute.cluster.credentials import configuration, namespace_of, of_a_person

PAGE = 500
"""Objects per answer, as kubectl asks for them."""
EVENTS_TIMEOUT_S = 1.5
"""Events are searched one by one by the API server; a screen does not wait longer for them than this."""
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
LABEL_ROUTE = "modelroute.dev/route"


class Reader:
    """Reads ModelRoutes, their ModelRollouts and events; writes annotations, nothing else.

    Every method raises Unavailable, Conflict or Invalid as `Objects` does. An empty namespace means all of them.
    """

    def __init__(self, objects: Objects, namespace: str) -> None:
        self._objects = objects
        self.namespace = namespace

    def route(self, namespace: str, name: str) -> Json | None:
        return self._get(MODEL_ROUTES, namespace, name)

    def rollout(self, namespace: str, name: str) -> Json | None:
        return self._get(MODEL_ROLLOUTS, namespace, name)

    def routes(self, namespace: str) -> list[Json]:
        return self._list(MODEL_ROUTES, namespace, {})

    def rollouts(self, namespace: str, route: str) -> list[Json]:
        """The attempts of one ModelRoute, in no order."""
        return self._list(MODEL_ROLLOUTS, namespace, {"labelSelector": f"{LABEL_ROUTE}={route}"})

    def events(self, namespace: str, name: str, uid: str) -> list[Json]:
        """Events about the ModelRoute of that name and UID, in no order."""
        fields = f"involvedObject.kind=ModelRoute,involvedObject.name={name},involvedObject.uid={uid}"
        return self._list(EVENTS, namespace, {"fieldSelector": fields}, timeout_s=EVENTS_TIMEOUT_S)

    def table(self, namespace: str) -> Json:
        """ModelRoutes as the API server prints them: `columnDefinitions` and `rows` of a meta.k8s.io/v1 Table.

        Without the objects, which would be a hundred times as much; rows carry metadata only for all namespaces. From
        the API server's own memory, perhaps a moment old: that takes half a second for 10,000, the store itself ten.
        """
        return self._table(MODEL_ROUTES, namespace)

    def rollout_table(self, namespace: str) -> Json:
        """ModelRollouts in the same way."""
        return self._table(MODEL_ROLLOUTS, namespace)

    def namespaces(self) -> list[str]:
        """The names of all; Unavailable for who may not list them."""
        pages = self._pages(NAMESPACES, "", {"resourceVersion": "0"}, accept=NAMES_ONLY)
        return [str(each["metadata"]["name"]) for page in pages for each in page.get("items") or ()]

    def annotate(self, namespace: str, name: str, annotation: str, value: str, *, version: str) -> Json:
        """Set one annotation of a ModelRoute, if its resourceVersion is still `version`; else Conflict."""
        body = {"metadata": {"resourceVersion": version, "annotations": {annotation: value}}}
        path = path_of(MODEL_ROUTES, namespace, name)
        return self._objects.send("PATCH", path, body=body, content_type="application/merge-patch+json")

    def _get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        try:
            return self._objects.send("GET", path_of(kind, namespace, name))
        except NotFound as error:
            # Without the CRD the path itself is not there, and that is another message.
            if "could not find the requested resource" in str(error):
                raise
            return None

    def _table(self, kind: Kind, namespace: str) -> Json:
        query = {"includeObject": "Metadata" if not namespace else "None", "resourceVersion": "0"}
        pages = self._pages(kind, namespace, query, accept=AS_TABLE)
        return {**pages[0], "rows": [row for page in pages for row in page.get("rows") or ()]}

    def _list(self, kind: Kind, namespace: str, query: dict[str, str], **how: Any) -> list[Json]:
        return [item for page in self._pages(kind, namespace, query, **how) for item in page.get("items") or ()]

    def _pages(self, kind: Kind, namespace: str, query: dict[str, str], **how: Any) -> list[Json]:
        pages: list[Json] = []
        token = ""
        while not pages or token:
            asked = {**query, "limit": str(PAGE)}
            if token:
                # A token stands for the version of the first page.
                asked = {**asked, "continue": token}
                asked.pop("resourceVersion", None)
            pages.append(self._objects.send("GET", path_of(kind, namespace), query=asked, **how))
            token = pages[-1].get("metadata", {}).get("continue") or ""
        return pages


def open_reader(
    kubeconfig: str | None = None, context: str | None = None, *, timeout_s: float = READ_TIMEOUT_S
) -> Reader:
    """A reader with the rights of `kubeconfig` (a path) and `context`, each by default as kubectl has it.

    `timeout_s`: how long an answer is waited for. Raises Invalid where nothing says how to reach the API server.
    """
    kubeconfig = of_a_person(kubeconfig)
    into = configuration(kubeconfig, context=context)
    return Reader(Objects(into, workers=4, timeout_s=timeout_s), namespace_of(kubeconfig, context=context))
