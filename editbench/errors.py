"""The errors a user can act on: one root, a hint on each.

EditbenchError
├── ConfigError       run file, flag or environment            exit 2
├── SuiteError        the data being evaluated                 exit 2
├── MachineError      this machine cannot do it                exit 4
│   ├── BackendError      a model or its package cannot be loaded
│   ├── OutOfMemory       a device could not hold what a step needed
│   ├── DoesNotFit        the plan refuses
│   └── StoreError        the disk or the store
│       └── StoreFull         no room; everything stored is safe
├── RunLocked         another process holds the run            exit 4
├── ResultError       a run folder that cannot be read         exit 2
├── TooManyFailures   stopped early, or more failed than allowed   exit 3
├── GateFailed        the results did not meet a condition    exit 5
└── Stopped           asked to stop; resumable                 exit 130
"""

from __future__ import annotations

from collections.abc import Sequence


class EditbenchError(Exception):
    """A problem the user can act on; ``hint`` says how, ``problems`` lists every part of it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.problems = tuple(problems)


class ConfigError(EditbenchError):
    """The run file, a flag or the environment is wrong."""

    exit_code = 2


class SuiteError(EditbenchError):
    """The suite cannot be read, or has faults."""

    exit_code = 2


class ResultError(EditbenchError):
    """A run folder is missing or cannot be read."""

    exit_code = 2


class MachineError(EditbenchError):
    """This machine cannot do it as asked."""

    exit_code = 4


class BackendError(MachineError):
    """An editor or a judge cannot be found or loaded."""


class OutOfMemory(MachineError):
    """A device could not hold what a step needed."""


class DoesNotFit(MachineError):
    """No placement of these models works on this machine."""


class NotResident(EditbenchError):
    """A model was used while it was not on its device."""


class StoreError(MachineError):
    """The store could not be opened, read or written."""


class StoreFull(StoreError):
    """The store has no room left; everything in it is safe."""


class RunLocked(MachineError):
    """Another process holds the run."""


class TooManyFailures(EditbenchError):
    """The run stopped early, or finished with more failures than allowed."""

    exit_code = 3


class GateFailed(EditbenchError):
    """The results met a condition that they were to be stopped by, such as ``drop > 0.2``."""

    exit_code = 5


class Stopped(EditbenchError):
    """The run was asked to stop. What is finished is stored."""

    exit_code = 130
