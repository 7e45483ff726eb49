"""`modelroute log`: tell a decision that was made to the tracker that a team uses."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("decision", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--results",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The results folder that the decision stands on.",
)
@click.option("--to", "tracker", type=click.Choice(["wandb", "mlflow"]), required=True)
@click.option("--project", default="modelroute", show_default=True, help="W&B's project, MLflow's experiment.")
@click.option("--uri", default="file:mlruns", show_default=True, help="mlflow: the tracking server, or a folder.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="wandb: where the runs are kept until `wandb sync`; default: here.",
)
@click.option("--online", is_flag=True, help="wandb: send it at once.")
def log(decision: Path, results: Path, tracker: str, project: str, uri: str, folder: Path, online: bool) -> None:
    """Log DECISION (written by modelroute compare -o json) and the samples below it, a run for each model."""
    # Here, because the trackers are optional and take a while to load.
    from modelroute.compare.results import read_results
    from modelroute.compare.tracking.told import to_tell

    told = to_tell(decision, read_results(results))
    if tracker == "wandb":
        from modelroute.compare.tracking.wandb_log import log_to_wandb

        made = log_to_wandb(told, project=project, folder=folder, online=online)
    else:
        from modelroute.compare.tracking.mlflow_log import log_to_mlflow

        made = log_to_mlflow(told, uri=uri, experiment=project)
    for run, where in zip(told.runs, made, strict=True):
        click.echo(f"{run.name}{' (winner)' if run.won else ''}: {where}")
