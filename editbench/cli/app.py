"""The command line: what there is to type, and its help."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from editbench.cli.caching import cache
from editbench.cli.commands import Screen, command
from editbench.cli.continuing import RESUME_EXAMPLES, SCORE_EXAMPLES, resume, score
from editbench.cli.messages import say
from editbench.cli.options import Settings, Watch
from editbench.cli.profiling import profile
from editbench.cli.reading import LIST_EXAMPLES, SHOW_EXAMPLES, AsJson, list_, print_json, show
from editbench.cli.reporting import COMPARE_EXAMPLES, REPORT_EXAMPLES, compare, report
from editbench.cli.setting_up import SCHEMA_EXAMPLES, demo, doctor, init, schema

WELCOME = """\
editbench measures how well image-editing models follow instructions.

  editbench demo           run the built-in suite: tiny models, no download
  editbench init           write a commented run.toml to start from
  editbench plan           see what a run would load, swap and store

All commands: editbench --help
"""
EXAMPLES = """\
[bold]Examples[/]

editbench demo

editbench plan run.toml -e diffusers:Qwen/Qwen-Image-Edit -n 5

editbench run run.toml --set editor.args.num_inference_steps=28

editbench show
"""
RUN_EXAMPLES = """\
[bold]Examples[/]

editbench run run.toml

editbench run -b suite.jsonl -e diffusers:Qwen/Qwen-Image-Edit -j transformers:Qwen/Qwen3-VL-8B

editbench run run.toml -n 3 --display plain

An interrupted run goes on when the same command is given again.
"""

PLAN_EXAMPLES = """\
[bold]Examples[/]

editbench plan run.toml

editbench plan run.toml --device-budget 24GB

editbench plan run.toml --json

It takes the flags of editbench run, and what runs measured on this machine.
"""

app = typer.Typer(
    name="editbench",
    help="Measure how well image-editing models follow instructions, on a machine too small "
    "for the editor and the judge at once.",
    epilog=EXAMPLES,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"editbench {version('editbench')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def welcome(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(WELCOME, end="")


def run(
    settings: Settings,
    *,
    watch: Watch,
    screen: Screen,
) -> int:
    """Edit every pair, swap models once, score every edit, and report. Continues what was begun."""
    from editbench.cli.running import carry_out

    config = settings.load()
    if not (settings.file or settings.suite or watch.quiet):
        if file := settings.run_file():
            say(screen.err, "note", f"running {file}")
        elif config.suite.path == "demo":
            say(screen.err, "note", "running the built-in demo; editbench init writes a run file")
    return carry_out(config, screen, watch)


def plan(settings: Settings, *, as_json: AsJson = False, screen: Screen) -> None:
    """Show what a run would do: swaps, memory, disk and time. Loads no model."""
    from editbench.api import plan as make_plan
    from editbench.api import timeline
    from editbench.cli.timeline import draw

    made = make_plan(settings.load())
    stretches = timeline(made)
    if as_json:
        print_json(made.as_json() | {"timeline": [stretch._asdict() for stretch in stretches]})
        return
    print(made.describe())
    out = screen.out
    for line in draw(stretches, width=out.width, ascii_only=out.encoding == "ascii"):
        out.print(line, soft_wrap=True)


RUNNING, LOOKING, KEEPING = "Run", "Look at runs", "Set up and look after"
for panel, name, function, examples in (
    (RUNNING, "run", run, RUN_EXAMPLES),
    (RUNNING, "plan", plan, PLAN_EXAMPLES),
    (RUNNING, "resume", resume, RESUME_EXAMPLES),
    (RUNNING, "score", score, SCORE_EXAMPLES),
    (RUNNING, "demo", demo, None),
    (LOOKING, "show", show, SHOW_EXAMPLES),
    (LOOKING, "report", report, REPORT_EXAMPLES),
    (LOOKING, "compare", compare, COMPARE_EXAMPLES),
    (LOOKING, "list", list_, LIST_EXAMPLES),
    (KEEPING, "init", init, None),
    (KEEPING, "schema", schema, SCHEMA_EXAMPLES),
    (KEEPING, "doctor", doctor, None),
):
    app.command(name, epilog=examples, rich_help_panel=panel)(command(function))
app.add_typer(cache, name="cache", rich_help_panel=KEEPING)
app.add_typer(profile, name="profile", rich_help_panel=KEEPING)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show is no reason to fail.
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="replace")
    app()
