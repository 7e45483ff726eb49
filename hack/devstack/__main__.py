"""`python -m devstack up | down | status`: a stack in the background, in .stack/, for playing."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from controlplane.errors import SetupError
from devstack import space
from devstack.errors import NotInTime, StackError, tail
from devstack.process import alive, end_in_order, wait_for_exit, wait_for_the_end
from devstack.scene import ModelServer, Scene
from devstack.stack import REPOSITORY, Stack

FOLDER = Path(os.environ.get("MODELROUTE_STACK", REPOSITORY / ".stack"))
_READY = "ready"


def up() -> int:
    if _holder() is not None:
        print("The stack is up already.")
        return status()
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        FOLDER.mkdir(exist_ok=True)
        space.check(FOLDER)
    except (OSError, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    holder_log = FOLDER / "holder.log"
    with holder_log.open("wb") as errors:
        holder = subprocess.Popen(
            [sys.executable, "-m", "devstack", "hold"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert holder.stdout is not None
    try:
        if _relay(holder.stdout):
            return status()
    except KeyboardInterrupt:
        holder.terminate()
        holder.wait()
        return 130
    holder.wait()
    print("\n".join(tail(holder_log, 30)), file=sys.stderr)
    return 1


def down() -> int:
    pid = _holder()
    if pid is None:
        print("The stack is not up.")
    else:
        _end(pid)
        print("The stack is down.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 0


def status() -> int:
    if _holder() is None:
        print("The stack is not up; `make up` brings it up.")
        return 1
    try:
        print(json.loads((FOLDER / "state.json").read_text(encoding="utf-8"))["usage"])
    except FileNotFoundError:
        print("The stack is on its way up, or down.")
    return 0


def hold() -> int:
    """Holds the stack until SIGTERM; `up` runs this in the background."""
    end_in_order()
    with _lock() as lock:
        try:
            with Stack.start(FOLDER, report=lambda line: print(line, flush=True)) as stack:
                scene = Scene(stack, stack.create_namespace("chat"))
                scene.set_up()
                models = [scene.add_model(name, seed=seed) for seed, name in enumerate(("llama-70b", "llama-8b"))]
                scene.start_operator()
                state = {"pid": os.getpid(), "usage": _usage(stack, scene, models)}
                (FOLDER / "state.json").write_text(json.dumps(state), encoding="utf-8")
                print(_READY, flush=True)
                # Whoever read that is about to go away.
                os.dup2(lock.fileno(), sys.stdout.fileno())
                wait_for_the_end()
        except (StackError, SetupError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _usage(stack: Stack, scene: Scene, models: list[ModelServer]) -> str:
    large, small = models
    venv = Path(sys.executable).parent
    load = f"-m devstack.load --url {stack.gateway_url} --host {scene.host} --rate 50 --duration 600 --log load.jsonl"
    return f"""
  export KUBECONFIG={stack.kubeconfig}
  export PATH={venv}:$PATH

  gateway      {stack.gateway_url}   (Gateway inference in namespace {scene.namespace}, host {scene.host})
  models       {large.name} at http://{large.ip}:8000, {small.name} at http://{small.ip}:8000
  operator     runs, with its ServiceAccount's rights   ({scene.operator.log if scene.operator else ""})
  Prometheus   {stack.prometheus_url}
  API server   {stack.apiserver_url}
  logs         {stack.logs}

  kubectl apply -f examples/minimal.yaml
  PYTHONPATH=hack python {load}
  curl -X PUT http://{small.ip}:8000/control -d '{{"fail_rate": 0.5}}'
  kubectl get modelroutes,modelrollouts -n {scene.namespace} --watch

`make down` ends it."""


def _relay(lines: IO[str]) -> bool:
    """Prints what the holder says until it is ready; False if it ended before."""
    for line in lines:
        if line.strip() == _READY:
            return True
        print(line, end="", flush=True)
    return False


def _lock() -> IO[str]:
    handle = (FOLDER / "holder.pid").open("w+", encoding="utf-8")
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def _holder() -> int | None:
    """The pid of the process that holds the stack. The lock says that it lives; a pid alone could be another's."""
    with suppress(FileNotFoundError), (FOLDER / "holder.pid").open(encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(handle.read())
    return None


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        try:
            wait_for_exit(pid, timeout_s=30)
        except NotInTime:
            os.kill(pid, signal.SIGKILL)
            wait_for_exit(pid)
    assert not alive(pid)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["up"]:
            return up()
        case ["down"]:
            return down()
        case ["status"]:
            return status()
        case ["hold"]:
            return hold()
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
