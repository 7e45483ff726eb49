"""The chart on a real node: `make node`. It takes root, Debian, and its containerd, runc, buildah and debootstrap.

containerd and kubelet run on this machine, for a stack of the usual kind; the image is built of the Dockerfile, on
Debian's Python. At the end nothing of that is left running or mounted; the image's layers stay in the cache.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from controlplane import programs, progress
from controlplane.errors import SetupError
from devstack.errors import StackError
from devstack.process import end_in_order
from devstack.scene import Scene
from devstack.stack import Stack
from node import client, image, machine
from node.walk import SYSTEM, Walk

PROGRAMS = ("containerd", "ctr", "runc", "buildah", "debootstrap", "ip", "openssl")
INSTALL = (
    "apt-get install --no-install-recommends containerd runc buildah debootstrap containernetworking-plugins iproute2 "
    "openssl"
)


def main() -> int:
    if os.geteuid() != 0:
        print("`make node` needs root: it starts containerd and kubelet on this machine.", file=sys.stderr)
        return 1
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [str(file) for name in machine.PLUGINS if not (file := machine.PLUGIN_FOLDER / name).exists()]
    if missing:
        print(f"`make node` needs {' and '.join(missing)}, which this machine lacks: {INSTALL}", file=sys.stderr)
        return 1
    if reason := machine.in_the_way():
        print(reason, file=sys.stderr)
        return 1
    end_in_order()
    say = progress.say
    try:
        programs.locate_all(programs.NODE_NAMES, say=say)
        with tempfile.TemporaryDirectory(prefix="modelroute-images-") as folder:
            images = image.archives(Path(folder), say=say)
            shown = client.make(Path(folder))
            with Stack.start(apiserver_flags=shown.flags, report=say) as stack:
                # The chart brings these itself.
                stack.kubectl("delete", "crd", "modelroutes.modelroute.dev", "modelrollouts.modelroute.dev")
                stack.kubectl("delete", "clusterrolebinding,clusterrole", "modelroute-operator")
                stack.kubectl("delete", "namespace", SYSTEM)
                scene = Scene(stack, stack.create_namespace("chat"))
                scene.set_up()
                for seed, name in enumerate(("large-v1", "small-v1")):
                    scene.add_model(name, seed=seed)
                with machine.node(stack, images, shown.certificate) as made:
                    say(stack.kubectl("get", "nodes", "-o", "wide").strip())
                    Walk(scene, made, say).all()
    except (SetupError, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    say("All of it held.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
