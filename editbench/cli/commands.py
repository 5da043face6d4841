"""The edge of every command: groups of flags become values, errors become messages and codes."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Annotated, Any, get_type_hints

import typer
from typer.models import OptionInfo

from editbench.cli.messages import first_cause, say, tell
from editbench.cli.options import OUTPUT, Means, Scoring, Settings, Watch, variable
from editbench.cli.terminal import Terminal
from editbench.errors import Stopped

WIDE = 200  #: columns of a file or a pipe, where nothing needs to be cut


@dataclass(frozen=True)
class Screen:
    """Where a command writes: data to ``out``, everything else to ``err``."""

    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            help="Log more, and show the traceback of an error. -vv for everything.",
            envvar=variable("verbose"),
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = 0
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            help="No colors; NO_COLOR does the same.",
            envvar=variable("no-color"),
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = False

    ascii: Annotated[
        bool,
        typer.Option(
            "--ascii",
            help="Draw in ASCII; names stay as they are.",
            envvar=variable("ascii"),
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = False

    @cached_property
    def out(self) -> Terminal:
        width = None if sys.stdout.isatty() else WIDE
        return self._terminal(width=width)

    @cached_property
    def err(self) -> Terminal:
        return self._terminal(stderr=True)

    def _terminal(self, **settings: Any) -> Terminal:
        return Terminal(
            ascii=self.ascii, no_color=self.no_color or None, highlight=False, **settings
        )


GROUPS: tuple[type, ...] = (Settings, Means, Scoring, Watch, Screen)


def command(function: Callable[..., Any]) -> Callable[..., None]:
    """Let a function be a typer command whose ``Settings`` and ``Screen`` are flags of their own.

    What it returns becomes the exit code (None is 0), and so does what it raises.
    """
    hints = get_type_hints(function, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if kind in GROUPS}
    parameters: list[inspect.Parameter] = [_parameter("context", typer.Context)]
    for name, parameter in inspect.signature(function).parameters.items():
        kind = groups.get(name)
        if kind:
            parameters += _flags(kind)
        else:
            parameters.append(_parameter(name, hints[name], parameter.default))

    @functools.wraps(function)
    def call(**given: Any) -> None:
        context: typer.Context = given.pop("context")
        for name, kind in groups.items():
            given[name] = _build(kind, given, context)
        screen: Screen = next(value for value in given.values() if isinstance(value, Screen))
        raise typer.Exit(_guarded(function, given, screen))

    vars(call)["__signature__"] = inspect.Signature(parameters)
    return call


def _guarded(function: Callable[..., Any], given: Mapping[str, Any], screen: Screen) -> int:
    try:
        return function(**given) or 0
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:  # before a run is open, or in a command that runs nothing
        say(screen.err, "stopped", "nothing was begun that would have to be ended")
        return Stopped.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough; writing what is buffered would fail again.
        sys.stdout = None
        return 0
    except Exception as exc:
        return tell(screen.err, first_cause(exc), verbose=screen.verbose > 0)


@functools.cache  # evaluating annotations is what --help would wait for
def _flags(kind: type) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    hidden = getattr(kind, "HIDDEN", ())
    shown = [field for field in fields(kind) if field.name not in hidden]
    return [_parameter(field.name, hints[field.name], field.default) for field in shown]


def _parameter(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    for info in getattr(annotation, "__metadata__", ()):
        if isinstance(info, OptionInfo):
            _complete(info, name, is_switch=isinstance(default, bool) or bool(info.count))
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _complete(info: OptionInfo, name: str, *, is_switch: bool) -> None:
    """Give a flag its environment variable, and a switch no value in the help."""
    words = (info.default, *(info.param_decls or ()))  # typer takes the first for a default
    written = next((str(word) for word in words if str(word).startswith("--")), name)
    info.envvar = info.envvar or variable(written.lstrip("-"))
    if is_switch:
        info.metavar = ""


def _build(kind: type, given: dict[str, Any], context: typer.Context) -> Any:
    """Take a group's flags out of all that were given."""
    values = {parameter.name: given.pop(parameter.name) for parameter in _flags(kind)}
    if issubclass(kind, Settings):
        sources = {name: context.get_parameter_source(name) for name in values}
        values["given"] = {name: source.name for name, source in sources.items() if source}
    return kind(**values)
