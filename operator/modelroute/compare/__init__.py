"""Offline model comparison. Empty until part 5; the operator never imports it."""
