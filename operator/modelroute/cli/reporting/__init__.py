"""The page about one attempt: what its ModelRollout remembers, in numbers, drawings and one file of HTML."""
