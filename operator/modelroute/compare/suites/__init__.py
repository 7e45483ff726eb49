"""Test suites: questions with known answers, how an answer is read and scored, and the ones that come with modelroute.

`suite.py` has the domain's types, `loading.py` reads a YAML file and its JSONL items, `scoring.py` and what it stands
on judge one answer. The items in items/ are written by hack/suite_items from templates and a seed: change them there.
Nothing here talks to a model.
"""
