"""To MLflow (mlflow-skinny is enough). A server that does not answer costs seconds, not minutes."""

from __future__ import annotations

import os

from modelroute.compare.extras import need
from modelroute.compare.tracking.told import Run, Told
from modelroute.errors import Unavailable

need("mlflow")

# By default mlflow tries seven times, with pauses that double, two minutes each: a dead server blocks for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# mlflow refuses folders unless this is set, and a folder is used only where somebody named one.
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

from mlflow.entities import Metric, Param, RunTag  # noqa: E402 - after the variables that it reads
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from mlflow.utils.time import get_current_time_millis  # noqa: E402


def log_to_mlflow(told: Told, *, uri: str, experiment: str) -> list[str]:
    """A run a model in that experiment, which is made if need be; returns the runs' ids. Raises Unavailable."""
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        into = found.experiment_id if found else client.create_experiment(experiment)
        return [_log(client, into, told, run) for run in told.runs]
    except (MlflowException, OSError) as error:
        first = " ".join(str(error).split())
        raise Unavailable(f"MLflow at {uri} did not take the decision: {first[:300]}") from error


def _log(client: MlflowClient, experiment: str, told: Told, run: Run) -> str:
    made = client.create_run(
        experiment,
        run_name=f"{told.comparison}/{run.name}",
        tags={
            "mlflow.note.content": told.headline,
            "modelroute.comparison": told.comparison,
            "modelroute.winner": str(run.won).lower(),
        },
    )
    identity = str(made.info.run_id)
    now = get_current_time_millis()
    client.log_batch(
        identity,
        metrics=[Metric(name, value, now, 0) for name, value in run.metrics.items()],
        params=[Param(name, value) for name, value in run.params.items()],
        tags=[RunTag("modelroute.model", run.name)],
    )
    for suite, (columns, rows) in run.tables.items():
        client.log_dict(identity, {"columns": columns, "data": rows}, f"samples/{suite}.json")
    client.log_artifact(identity, str(told.decision))
    client.set_terminated(identity)
    return identity
