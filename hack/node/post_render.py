"""What the pod needs on this node alone, added to what helm renders: the name that the API server's certificate is for.

A cluster has DNS and kube-proxy for that. helm runs it: `--post-renderer`.
"""

import sys

import yaml

API_NAME = "kubernetes.default.svc"


def main(address: str) -> None:
    objects = [each for each in yaml.safe_load_all(sys.stdin) if each]
    for each in objects:
        if each["kind"] == "Deployment":
            each["spec"]["template"]["spec"]["hostAliases"] = [{"ip": address, "hostnames": [API_NAME]}]
    yaml.safe_dump_all(objects, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
