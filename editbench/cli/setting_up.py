"""The commands before the first run: ``doctor`` and ``init``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.options import WHICH, Watch, flag
from editbench.cli.reading import AsJson, Out, print_json
from editbench.cli.text import plain
from editbench.errors import ConfigError, MachineError
from editbench.units import format_bytes

SCHEMA_EXAMPLES = """\
[bold]Examples[/]

editbench schema > run.schema.json

editbench schema pairs > pairs.schema.json

The run.toml that editbench init writes names the schema in its first line.
"""
RUN_FILE = """\
#:schema {schema}
# What `editbench run run.toml` does. Every line is optional; flags win over this file.
suite = "demo"                  # a file, a folder or a name: editbench list suites
seed = 0

[editor]
use = "diffusers"               # editbench list editors
# model = "Qwen/Qwen-Image-Edit"  # a Hub name or a folder; without one, a tiny random model
# dtype = "bf16"
# quantize = "nf4"              # or int8, fp8: fewer bytes; needs editbench[quantize]
# args = { num_inference_steps = 28, true_cfg_scale = 4.0 }

[judge]
use = "transformers"            # editbench list judges
# model = "Qwen/Qwen3-VL-8B-Instruct"
rubric = "default"              # or a TOML file with your own

[memory]
device = "auto"                 # cuda:0, cpu; "cuda:0,cuda:1": one for each model
# device_budget = "90%"         # of the device
# host = "8GB"                  # decoded images kept in RAM
# weights = "40GB"              # weights kept in RAM beside the device; the rest is on disk
# spill = "50GB"                # edits on disk
# keep = "until-scored"         # of an edit once it is scored: all, thumbnails, nothing
# folder = "store"              # where edits lie; shared by all runs

[run]
out = "runs"
retries = 1                     # further attempts for a failed item
max_failures = 0                # failed pairs that still count as success
"""


def doctor(*, as_json: AsJson = False, screen: Screen) -> int:
    """Show versions, devices, memory, disk and which backends can load."""
    from editbench.api import doctor as examine

    facts = examine()
    if as_json:
        print_json(facts)
    else:
        for line in _lines(facts):
            screen.out.print(Text(line), soft_wrap=True)
        for problem in facts["problems"]:
            say(screen.err, "problem", problem)
    return MachineError.exit_code if facts["problems"] else 0


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, value in facts.items():
        if name == "problems":
            continue
        yield plain(name)
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            if isinstance(value, list):
                yield "  " + "  ".join(f"{key} {_fact(key, row[key])}" for key in row)
            else:
                yield from (f"  {plain(key):<18} {_fact(key, row[key])}" for key in row)


def _fact(name: str, value: object) -> str:
    is_size = isinstance(value, int) and any(
        word in name for word in ("bytes", "memory", "free", "disk")
    )
    if is_size and not isinstance(value, bool):
        return format_bytes(int(str(value)))
    return plain(value)


DEMO = {
    "editor": {"use": "diffusers", "model": "tiny/qwen-image-edit"},
    "judge": {"use": "transformers", "model": "tiny/qwen3-vl"},
}


def demo(
    *,
    limit: Annotated[
        int | None, flag("limit", "-n", help="At most so many pairs of each category.", panel=WHICH)
    ] = None,
    out: Out = Path("runs"),
    watch: Watch,
    screen: Screen,
) -> int:
    """Run the built-in suite with two tiny models: half a minute, no GPU, no download."""
    from editbench.api import load_config
    from editbench.cli.running import carry_out

    here = {"suite": {"path": "demo", "limit": limit}, "run": {"out": str(out)}}
    return carry_out(load_config(overrides=DEMO | here), screen, watch)


def schema(
    of: Annotated[
        Literal["run", "pairs", "five", "rubric"],
        typer.Argument(
            help="run: a run file; pairs: a line of a .jsonl suite; five: a five-category .json; "
            "rubric: a rubric."
        ),
    ] = "run",
    *,
    screen: Screen,
) -> None:
    """Print the JSON schema of a run file, a suite or a rubric, for editors and checkers."""
    from editbench.api import schema as make

    print_json(make(of))


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it.")] = Path("."),
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    screen: Screen,
) -> None:
    """Write a commented run.toml to start from; editors complete it by its schema."""
    from editbench.api import write_schema

    path = folder / "run.toml"
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", hint="--force replaces it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        schema = write_schema().as_uri()
        path.write_text(RUN_FILE.replace("{schema}", schema), encoding="utf-8")
    except OSError as exc:
        raise MachineError(f"cannot write {path}: {exc}") from exc
    say(screen.err, "written", str(path), f"editbench plan {path}", f"editbench run {path}")
