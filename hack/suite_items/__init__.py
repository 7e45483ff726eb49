"""Writes the items of the suites that come with modelroute, from templates and a seed: `python -m suite_items`.

Every expected answer is computed from the facts that the template was filled with (by a truth table, by sorting, by
arithmetic), so that an item cannot disagree with its answer. Run it after a change here; a test fails on drift. A suite
whose items change gets a new version in its YAML file, because results of two versions must not be compared.
"""
