"""Results from elsewhere: files that other tools wrote, read into a results folder.

A reader for each format turns a file into records (`record.py`); `into.py` writes them where `modelroute compare`
looks. No reader needs the tool that wrote the file.
"""
