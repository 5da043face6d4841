"""A real editor that fails where a test says, and a judge that needs no device."""

from __future__ import annotations

from typing import ClassVar

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from editbench.backends.diffusers_editor import DiffusersEditor, DiffusersSettings
from editbench.engine.protocols import EditRequest, Stop
from editbench.errors import OutOfMemory
from editbench.testing import ScriptedJudge


class Settings(DiffusersSettings):
    #: ``part:pair``, once for each time that it is to fail; with ``:oom``, out of memory
    strike: list[str] = Field(default_factory=list)


class Editor(DiffusersEditor):
    """An editor from diffusers with accidents; its edits are the same as without them."""

    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._strikes = list(settings.strike)

    def run_part(self, part: str, request: EditRequest, state: bytes, *, stop: Stop) -> bytes:
        self._strike(part, request)
        return super().run_part(part, request, state, stop=stop)

    def finish_parts(self, request: EditRequest, state: bytes, *, stop: Stop) -> Image.Image:
        self._strike("decode", request)
        return super().finish_parts(request, state, stop=stop)

    def _strike(self, part: str, request: EditRequest) -> None:
        if (accident := f"{part}:{request.pair_id}:oom") in self._strikes:
            self._strikes.remove(accident)
            raise OutOfMemory(f"struck in {accident}")
        if (accident := f"{part}:{request.pair_id}") in self._strikes:
            self._strikes.remove(accident)
            raise RuntimeError(f"struck in {accident}")


class Nothing(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(extra="forbid")


class Judge(ScriptedJudge):
    """Scores by a hash of what it sees."""

    Settings: ClassVar[type[BaseModel]] = Nothing

    def __init__(self, settings: Nothing) -> None:
        super().__init__()
