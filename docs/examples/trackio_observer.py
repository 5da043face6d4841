"""Shows a run in trackio, which keeps everything on this machine (pip install trackio).

observers = [{ use = "docs/examples/trackio_observer.py:TrackioObserver", project = "edits" }]
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrackioSettings(BaseModel):
    """What can be set beside ``use``."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field("editbench", description="where trackio shows the run")


class TrackioObserver:
    """Logs every edit, score and swap, and the mean of every category at the end."""

    Settings = TrackioSettings

    def __init__(self, settings: TrackioSettings) -> None:
        import trackio  # here: whoever does not use it need not have it

        self._trackio = trackio
        self._project = settings.project

    def __call__(self, event) -> None:
        match event.kind:
            case "run.start":
                models = {"suite": event.suite, "editor": event.editor, "judge": event.judge}
                self._trackio.init(project=self._project, name=event.run, config=models)
            case "edit" | "swap":
                self._trackio.log({f"{event.kind}/seconds": event.seconds})
            case "score" if event.overall is not None:
                values = {f"score/{event.category}": event.overall, "score/seconds": event.seconds}
                self._trackio.log(values)
            case "run.end":
                if categories := event.summary.get("categories"):
                    self._trackio.log({f"mean/{k}": row["mean"] for k, row in categories.items()})
                self._trackio.finish()
