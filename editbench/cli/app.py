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
from editbench.cli.reading import SHOW_EXAMPLES, AsJson, list_, print_json, show
from editbench.cli.reporting import COMPARE_EXAMPLES, REPORT_EXAMPLES, compare, report
from editbench.cli.setting_up import demo, doctor, init

WELCOME = """\
editbench measures how well image-editing models follow instructions.

  editbench run            run the built-in demo: tiny models, no download
  editbench init           write a commented run.toml to start from
  editbench plan run.toml  see what a run would load, swap and store, and for how long

All commands: editbench --help
"""
EXAMPLES = """\
[bold]Examples[/]

editbench run

editbench plan run.toml -e diffusers:Qwen/Qwen-Image-Edit -n 5

editbench run run.toml --set editor.args.num_inference_steps=28

editbench show latest
"""
RUN_EXAMPLES = """\
[bold]Examples[/]

editbench run run.toml

editbench run -b suite.jsonl -e diffusers:Qwen/Qwen-Image-Edit -j transformers:Qwen/Qwen3-VL-8B

editbench run run.toml -n 3 --display plain

An interrupted run goes on when the same command is given again.
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


@app.command(epilog=RUN_EXAMPLES)
@command
def run(
    settings: Settings,
    *,
    watch: Watch,
    screen: Screen,
) -> int:
    """Edit every pair, swap models once, score every edit, and report. Continues what was begun."""
    from editbench.cli.running import carry_out

    config = settings.load()
    is_chosen = settings.file or settings.suite
    if not is_chosen and config.suite.path == "demo" and not watch.quiet:
        say(screen.err, "note", "running the built-in demo; editbench init writes a run file")
    return carry_out(config, screen, watch)


@app.command()
@command
def plan(settings: Settings, *, as_json: AsJson = False, screen: Screen) -> None:
    """Show what a run would do: swaps, memory, disk and time. Loads no model."""
    from editbench.api import plan as make_plan

    made = make_plan(settings.load())
    if as_json:
        print_json(made.as_json())
    else:
        print(made.describe())


app.command(name="resume", epilog=RESUME_EXAMPLES)(command(resume))
app.command(name="score", epilog=SCORE_EXAMPLES)(command(score))
app.command(name="demo")(command(demo))
app.command(name="show", epilog=SHOW_EXAMPLES)(command(show))
app.command(name="report", epilog=REPORT_EXAMPLES)(command(report))
app.command(name="compare", epilog=COMPARE_EXAMPLES)(command(compare))
app.command(name="list")(command(list_))
app.add_typer(cache, name="cache")
app.command(name="doctor")(command(doctor))
app.command(name="init")(command(init))
app.add_typer(profile, name="profile")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show is no reason to fail.
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="replace")
    app()
