"""Offline model comparison: one file that says what matters, a results folder, and a decision with its reasons.

Here belong the comparison's own types, what is measured from samples, and what follows from it. Nothing here talks to a
cluster or a gateway; the operator never imports it. It may import `modelroute.api` for the spelling of quantities and
for the manifest it can write, and `modelroute.analysis`.
"""
