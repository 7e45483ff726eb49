"""modelroute: canary rollouts of language models, with decisions that stay valid however often it looks."""

__version__ = "0.1.0"
