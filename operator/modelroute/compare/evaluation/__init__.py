"""Running suites against models: asking, measuring, keeping every answer at once.

`run.py` goes through models and suites and is what the command calls; `harness.py` is the one place that knows
lm-evaluation-harness; `asking.py` sends one request and times it; `pool.py` keeps the number of requests in flight and
the money spent below their bounds. lm-eval is heavy and optional: only harness.py imports it, and is itself imported
only when suites are run.
"""
