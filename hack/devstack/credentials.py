"""Keys, tokens and kubeconfigs of a stack. They guard nothing but a throwaway API server on loopback."""

import base64
import json
import os
import secrets
from pathlib import Path

# The order of P-256's group, from SEC 2: a private key is a number from 1 to one below it.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_OID_P256 = bytes.fromhex("06082a8648ce3d030107")


def new_token() -> str:
    return secrets.token_urlsafe(32)


def new_ec_key() -> str:
    """A P-256 private key as PEM (SEC 1, RFC 5915), without the public half, which readers compute themselves.

    The API server signs ServiceAccount tokens with it; writing it takes neither openssl nor a library.
    """
    private = (secrets.randbelow(_P256_ORDER - 1) + 1).to_bytes(32, "big")
    version, curve = b"\x02\x01\x01", _der(0xA0, _OID_P256)
    encoded = base64.b64encode(_der(0x30, version + _der(0x04, private) + curve)).decode()
    lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    return "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----", ""])


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128, "only short lengths are needed here"
    return bytes([tag, len(content)]) + content


def write_private(path: Path, text: str) -> Path:
    """Writes a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    return path


def write_kubeconfig(path: Path, *, server: str, ca: Path, token: str, namespace: str = "default") -> Path:
    """A kubeconfig that needs no other file (JSON is YAML)."""
    name = "modelroute-stack"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(ca.read_bytes()).decode(),
                },
            }
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    return write_private(path, json.dumps(config, indent=2) + "\n")
