"""Shows a run in Weights & Biases (pip install wandb; WANDB_MODE=offline keeps it here).

observers = [{ use = "docs/examples/wandb_observer.py:WandbObserver", project = "edits" }]
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WandbSettings(BaseModel):
    """What can be set beside ``use``."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field("editbench", description="project of W&B")


class WandbObserver:
    """Logs every edit, score and swap, and the mean of every category at the end."""

    Settings = WandbSettings

    def __init__(self, settings: WandbSettings) -> None:
        import wandb  # here: whoever does not use it need not have it

        self._wandb = wandb
        self._project = settings.project

    def __call__(self, event) -> None:
        match event.kind:
            case "run.start":
                models = {"suite": event.suite, "editor": event.editor, "judge": event.judge}
                self._wandb.init(project=self._project, name=event.run, config=models)
            case "edit" | "swap":
                self._wandb.log({f"{event.kind}/seconds": event.seconds})
            case "score" if event.overall is not None:
                values = {f"score/{event.category}": event.overall, "score/seconds": event.seconds}
                self._wandb.log(values)
            case "run.end":
                if categories := event.summary.get("categories"):
                    self._wandb.log({f"mean/{k}": row["mean"] for k, row in categories.items()})
                self._wandb.finish()
