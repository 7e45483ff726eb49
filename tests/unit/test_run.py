"""The operator as a process, before it has anything to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

NAMED_BY = ("LOGNAME", "USER", "LNAME", "USERNAME", "POD_ID")
NAMELESS = """
import pwd

def nobody(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = nobody
from modelroute.cli.main import main
main()
"""


def test_it_starts_as_a_user_who_has_no_name(tmp_path: Path) -> None:
    """So it is in the image: its user is a number, without a line in /etc/passwd."""
    asked = threading.Event()

    class Unavailable(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Unavailable)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config, kubeconfig = tmp_path / "operator.yaml", tmp_path / "kubeconfig"
    config.write_text(yaml.safe_dump({"telemetry": {"metrics": {"port": 0}, "health": {"port": 0}}}))
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "a", "user": {"token": "of nobody"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "current-context": "a",
            }
        )
    )
    operator = subprocess.Popen(
        [sys.executable, "-c", NAMELESS, "operator", f"--config={config}", f"--kubeconfig={kubeconfig}"],
        env={name: value for name, value in os.environ.items() if name not in NAMED_BY},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        came = asked.wait(60)
        operator.send_signal(signal.SIGTERM)
        _, said = operator.communicate(timeout=30)
    finally:
        operator.kill()
        server.shutdown()
        server.server_close()

    assert came, said
    assert operator.returncode == 0, said
