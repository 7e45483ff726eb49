"""The pure statistics: evidence, e-processes, confidence sequences, verdicts. Imports numpy and scipy.special only."""
