"""Prometheus: presets and the counter ledger (pure), the sampler (one adapter)."""
