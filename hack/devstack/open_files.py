"""Room for connections: open-loop load against a server that hangs holds hundreds of them at once."""

import resource


def allow_many_open_files(wanted: int = 8192) -> None:
    """Raise this process's soft limit towards `wanted`, as far as the hard limit lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
