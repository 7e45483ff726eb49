"""To Weights & Biases; offline unless it is asked for otherwise: `wandb sync` sends it later."""

from __future__ import annotations

from pathlib import Path

from modelroute.compare.extras import need
from modelroute.compare.tracking.told import Told
from modelroute.errors import Unavailable

need("wandb")

import wandb  # noqa: E402 - after the sentence about what is missing


def log_to_wandb(told: Told, *, project: str, folder: Path, online: bool) -> list[str]:
    """A run a model, in the group of the comparison; returns the runs' folders. Raises Unavailable."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_log(told, index, project=project, folder=folder, online=online) for index in range(len(told.runs))]


def _log(told: Told, index: int, *, project: str, folder: Path, online: bool) -> str:
    one = told.runs[index]
    settings = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    try:
        with wandb.init(
            project=project,
            group=told.comparison,
            name=one.name,
            dir=str(folder),
            mode="online" if online else "offline",
            config=dict(one.params),
            tags=["winner"] if one.won else [],
            notes=told.headline,
            settings=settings,
        ) as run:
            run.log(
                {
                    **one.metrics,
                    **{
                        f"samples/{suite}": wandb.Table(columns=list(columns), data=[list(row) for row in rows])
                        for suite, (columns, rows) in one.tables.items()
                    },
                }
            )
            return str(Path(run.dir).parent)
    except (wandb.errors.Error, OSError) as error:
        raise Unavailable(f"Weights & Biases did not take the run of {one.name}: {error}") from error
