"""Prometheus: what was counted in a window of time, or why that is not known.

    reading     what is asked and answered            sampler      answers routes; the one thing others call
    asking      the questions, in batches             counters     those that an arm's processes serve
    custom      bad of total, a user's own (pure)     tokens       what a request takes (pure)
    scrapes     when targets were scraped (pure)     cutting      windows, cut from them (pure)
    ledger      what counters counted (pure)         prometheus   the wire (the adapter)
    counting    what is bad (pure)                    selectors    PromQL, quoted (pure)
    traefik     one gateway's labels (pure)           judge        verdicts and coverage (pure)
    sources     the port of presets                   windows      one reading, put together (pure)

May import `analysis`, `rollout` and `errors`. Only `prometheus` and `sampler` know HTTP, threads and the clock.
"""
