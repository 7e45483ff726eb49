"""How soon the plugin answers in a large cluster: `python -m tests.bench.bench_plugin [ROUTES]`, 10,000 by default.

Fills a real API server with ModelRoutes, 100 to a namespace, and times `status NAME` and `get -n`, each as a process of
its own, as a person waits for it. Bound: 2 s. Some minutes, most of them for the filling.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubernetes import client, config
from tests.fakes import manifest

from devstack.stack import REPOSITORY, Stack

ROUTES, A_NAMESPACE, WRITERS, LOOKS = 10_000, 100, 16, 5
BOUND_S = 2.0


def fill(stack: Stack, routes: int) -> list[str]:
    """The names of the namespaces."""
    names = [stack.create_namespace(f"bench-{n}") for n in range(-(-routes // A_NAMESPACE))]
    api = client.CustomObjectsApi(config.new_client_from_config(str(stack.kubeconfig)))
    body = manifest(large=100, small=0)

    def create(number: int) -> None:
        made: dict[str, Any] = {**body, "metadata": {"name": f"route-{number}"}}
        api.create_namespaced_custom_object(
            "modelroute.dev", "v1alpha1", names[number // A_NAMESPACE], "modelroutes", made
        )

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(create, range(routes)))
    return names


def asked(stack: Stack, *arguments: str) -> float:
    """Seconds until the plugin has answered."""
    environment = {**os.environ, "KUBECONFIG": str(stack.kubeconfig), "PYTHONPATH": str(REPOSITORY / "operator")}
    start = "from modelroute.cli.main import kubectl_main; kubectl_main()"
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", start, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main(routes: int) -> int:
    with Stack.start() as stack:
        began = time.monotonic()
        names = fill(stack, routes)
        print(json.dumps({"routes": routes, "filled_in_s": round(time.monotonic() - began, 1)}), flush=True)
        last = names[-1]
        slow = False
        for arguments in (("status", f"route-{routes - 1}", "-n", last), ("get", "-n", last), ("get", "-A")):
            took = sorted(asked(stack, *arguments) for _ in range(LOOKS))
            median = took[LOOKS // 2]
            # A list of everything is told, not bounded: it is as long as the cluster is large.
            slow = slow or ("-A" not in arguments and median > BOUND_S)
            told = {"asked": " ".join(arguments), "median_s": round(median, 2), "slowest_s": round(took[-1], 2)}
            print(json.dumps({**told, "load": round(os.getloadavg()[0], 1)}), flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUTES))
