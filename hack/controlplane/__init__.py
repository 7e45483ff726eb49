"""Where the programs of the local stack come from: PATH, else PyPI, else a build from their Go modules.

Standard library only: `hack/bootstrap.py` uses parts of it before there is an environment to install anything into.
"""
