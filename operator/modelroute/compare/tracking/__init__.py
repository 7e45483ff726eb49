"""Telling a verdict to the trackers that a team uses already: Weights & Biases, MLflow.

What is logged is a decision that was written down (`modelroute compare -o json`) and the samples that it stands on, so
a tracker that is down can delay no evaluation and change no verdict. `told.py` prepares it, `wandb_log.py` and
`mlflow_log.py` each send it to one tracker, and import it only when they are called.
"""
