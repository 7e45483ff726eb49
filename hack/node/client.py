"""Whom the kubelet listens to: the API server, which shows it a certificate. Anybody could run commands in pods."""

from dataclasses import dataclass
from pathlib import Path

from node.machine import run


@dataclass(frozen=True, slots=True)
class Client:
    """The certificate, which is its own authority, and its key: files that the API server and the kubelet are told."""

    certificate: Path
    key: Path

    @property
    def flags(self) -> list[str]:
        """The API server's, by which it shows the certificate to kubelets."""
        return [f"--kubelet-client-certificate={self.certificate}", f"--kubelet-client-key={self.key}"]


def make(folder: Path) -> Client:
    """For a day, with the key readable for its owner alone."""
    made = Client(folder / "kubelet-client.crt", folder / "kubelet-client.key")
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
        "-subj", "/CN=kube-apiserver", "-addext", "extendedKeyUsage=clientAuth",
        "-keyout", made.key, "-out", made.certificate,
    )  # fmt: skip
    return made
