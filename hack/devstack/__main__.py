"""`python -m devstack up | down | status`: a stack in the background, in .stack/, for playing."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from controlplane.errors import SetupError
from devstack import space
from devstack.errors import NotInTime, StackError, tail
from devstack.process import Process, alive, end_in_order, wait_for_exit
from devstack.scene import ModelServer, Scene
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until

FOLDER = Path(os.environ.get("MODELROUTE_STACK", REPOSITORY / ".stack"))
_READY = "ready"
_RUNS, _DEAD = "operator     runs,", "operator     DEAD: `make up` starts it again; it ran"


def up() -> int:
    if (pid := _holder()) is not None:
        print("The stack is up already.")
        return _start_operator_again(pid) or status()
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
    state = _state()
    if state is None:
        print("The stack is on its way up, or down.")
    else:
        print(state["usage"] if state["operator"] else state["usage"].replace(_RUNS, _DEAD))
    return 0


def _state() -> dict[str, Any] | None:
    """What the holder wrote last; None while there is nothing."""
    try:
        return dict(json.loads((FOLDER / "state.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _start_operator_again(holder: int) -> int:
    """Whoever killed the operator to see what happens gets another; 1 where it does not come."""
    state = _state()
    if state is None or state["operator"]:
        return 0
    os.kill(holder, signal.SIGUSR1)
    try:
        wait_until(lambda: (_state() or {}).get("operator", False), what="the operator to run again", timeout_s=15)
    except NotInTime as error:
        print(f"{error} Its log: {state['log']}", file=sys.stderr)
        return 1
    print("The operator was dead, and runs again.")
    return 0


class Keeping:
    """What the holder does while it holds: it writes down whether the operator lives, and starts it when asked to."""

    def __init__(self, operator: Process, usage: str) -> None:
        self._operator, self._usage = operator, usage
        self._written: bool | None = None
        # Not an Event: a signal's handler that sets one while it is cleared would wait for ever.
        self.asked = False

    def ask(self, _number: int = signal.SIGUSR1, _frame: FrameType | None = None) -> None:
        """For an operator, if there is none: as a signal's handler."""
        self.asked = True

    def look(self) -> None:
        if self.asked:
            self.asked = False
            if not self._operator.running:
                self._operator.start()
        if (running := self._operator.running) != self._written:
            state = {"pid": os.getpid(), "usage": self._usage, "operator": running, "log": str(self._operator.log)}
            # Whole or not at all: it is read meanwhile.
            new = FOLDER / "state.json.new"
            new.write_text(json.dumps(state), encoding="utf-8")
            new.replace(FOLDER / "state.json")
            self._written = running

    def go_on(self) -> NoReturn:
        """Until a signal ends the program."""
        while True:
            self.look()
            # Not for ever at once: a signal that comes just before a wait begins is only looked at when it is over.
            threading.Event().wait(timeout=0.5)


def hold() -> int:
    """Holds the stack until SIGTERM; `up` runs this in the background."""
    end_in_order()
    with _lock() as lock:
        try:
            with Stack.start(FOLDER, report=lambda line: print(line, flush=True)) as stack:
                scene = Scene(stack, stack.create_namespace("chat"))
                scene.set_up()
                models = [scene.add_model(name, seed=seed) for seed, name in enumerate(("llama-70b", "llama-8b"))]
                keeping = Keeping(scene.start_operator(), _usage(stack, scene, models))
                signal.signal(signal.SIGUSR1, keeping.ask)
                keeping.look()
                print(_READY, flush=True)
                # Whoever read that is about to go away.
                os.dup2(lock.fileno(), sys.stdout.fileno())
                keeping.go_on()
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
  {_RUNS} with its ServiceAccount's rights   ({scene.operator.log if scene.operator else ""})
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
