"""`python -m devstack.pod FOLDER MODULE …`: runs a module as a container of a pod would run it.

The API server is told by the environment (KUBERNETES_SERVICE_HOST and _PORT), the ServiceAccount's token and the
authority's certificate are files, here in FOLDER, and the user is a number without a name. Two of these kept the
operator from working in its image while it worked everywhere else, before tests ran it like this.
"""

import os
import pwd
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

from kubernetes.config import incluster_config

TOKEN, CA = "token", "ca.crt"
OF_THE_IMAGE: Mapping[str, str] = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
"""What the Dockerfile sets, and how fast and how large the operator is depends on."""

_NAMED_BY = ("LOGNAME", "USER", "LNAME", "USERNAME")


def _nobody(uid: int) -> pwd.struct_passwd:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def main() -> None:
    folder, module = Path(sys.argv[1]), sys.argv[2]
    # Where the client looks is not configurable, and this process may not write there.
    incluster_config.SERVICE_TOKEN_FILENAME = str(folder / TOKEN)
    incluster_config.SERVICE_CERT_FILENAME = str(folder / CA)
    pwd.getpwuid = _nobody
    for name in _NAMED_BY:
        os.environ.pop(name, None)
    sys.argv[1:] = sys.argv[3:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
