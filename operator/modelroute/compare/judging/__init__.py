"""Judges: scores that need a reader, from libraries that are extras.

`judge.py` says what a judge is; `openevals_judge.py` and `azure_judge.py` are the two kinds that there are, and each is
imported only when a suite asks for it (`choose.py`); `pass_over.py` lets a suite's judges read the answers.
"""
