"""How an exception becomes the failure of a pair, and when failures are a wrong setting."""

from __future__ import annotations

from editbench.engine.events import Phase
from editbench.errors import TooManyFailures
from editbench.records import Failure, State

ALIKE = 5  #: so many first failures of one kind are a wrong setting, not bad luck

FAILED: dict[Phase, State] = {"edit": "edit_failed", "score": "judge_failed"}


class FirstFailures:
    """Notices when a phase's first pairs all fail alike."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._first: list[Failure] | None = []

    def see(self, failure: Failure | None, *, fail_fast: bool) -> TooManyFailures | None:
        if failure and fail_fast:
            return TooManyFailures(
                f"the first failure stops this run: {failure.error}: {failure.message}",
                hint="leave --fail-fast out to go on after failures",
            )
        if self._first is None:
            return None
        if failure is None or (self._first and _kind(failure) != _kind(self._first[0])):
            self._first = None
            return None
        self._first.append(failure)
        if len(self._first) < ALIKE:
            return None
        return TooManyFailures(
            f"the first {ALIKE} pairs failed the same way while they were being "
            f"{'edited' if self._phase == 'edit' else 'scored'}, so the run stops early",
            problems=[f"{failure.error}: {failure.message}"],
            hint="this looks like a setting, not bad luck; once it is fixed, run again",
        )


def _kind(failure: Failure) -> tuple[str, str]:
    return failure.error, failure.message


def failure_of(exc: BaseException, phase: Phase, *, attempts: int = 1) -> Failure:
    """Return an exception as the failure of a pair; one that has a ``state`` keeps it."""
    state = getattr(exc, "state", FAILED[phase])
    return Failure(state, type(exc).__name__, first_line(exc), attempts)


def first_line(exc: BaseException) -> str:
    """Return the first line of an exception's text, shortened to 300 characters."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
