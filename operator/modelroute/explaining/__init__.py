"""Why an attempt went back, or has not yet, and what it would have taken: from what its ModelRollout keeps.

    kept            the windows that can be gone through again, and the state before them
    counterfactual  the same windows with a few bad answers more or fewer
    account         what there is to say of an attempt

Pure: stands on `analysis` and `rollout`, and has no I/O and no clock.
"""
