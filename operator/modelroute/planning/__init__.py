"""What a rollout would take, before it is applied: attempts simulated with the engine and the gates that decide.

    traffic      what is assumed of the requests and of the rates of bad ones
    runs         what they start from, and how each went
    simulation   many runs of one attempt, side by side
    forecast     what the runs say: medians and ranges
    warnings     what a person should change before applying it

Pure: stands on `analysis` and `rollout`, has no I/O and no clock, and draws from a generator that it is given.
"""
