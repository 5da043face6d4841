from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from editbench import config
from editbench.errors import ConfigError


def problems(**values: Any) -> list[str]:
    built, found = config.build(values)
    assert (built is None) == bool(found)
    return [" ".join(line.split()) for line in found]


def test_defaults_are_a_whole_configuration() -> None:
    assert problems() == []


def test_all_problems_come_at_once_with_what_was_meant() -> None:
    assert problems(
        memory={"host": 8, "spil": "3GB", "spill": "3 apples"}, seed_policy="pairs"
    ) == [
        "seed_policy expected 'pair' or 'fixed', got 'pairs'",
        "memory.host expected a size such as '8GB', got 8",
        "memory.spill expected a size such as '8GB' or '512MiB', got '3 apples'",
        "memory.spil unknown setting, did you mean 'spill'?",
    ]


def test_a_suite_may_be_named_by_its_path_alone() -> None:
    built, _ = config.build({"suite": "x.jsonl"})
    assert built and built.suite.path == "x.jsonl"


def test_unknown_keys_of_a_backend_are_left_to_the_backend() -> None:
    built, _ = config.build({"editor": {"use": "mine", "speed": 3}})
    assert built and built.editor.settings() == {"speed": 3}


def test_later_layers_win_key_by_key() -> None:
    file = {"editor": {"use": "a", "args": {"steps": 1, "cfg": 4}}, "suite": "x"}
    flag = config.nest([config.parse_setting("editor.args.steps=28")])
    language = {"suite": {"language": "zh"}}
    assert config.merge(file, flag, language) == {
        "editor": {"use": "a", "args": {"steps": 28, "cfg": 4}},
        "suite": {"path": "x", "language": "zh"},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=[1,2]", [1, 2]),
        ("a=true", True),
        ("a=8GB", "8GB"),
        ("a=x=y", "x=y"),
        ("a=", ""),
    ],
)
def test_a_setting_is_toml_where_it_parses_and_text_otherwise(text: str, value: object) -> None:
    assert config.parse_setting(text) == (["a"], value)


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        config.parse_setting("steps")


def test_a_broken_run_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("a = 1\nb = \n")
    with pytest.raises(ConfigError, match=r"run.toml: .*line 2"):
        config.read_file(tmp_path / "run.toml")


def test_a_missing_run_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no run file") as caught:
        config.read_file(tmp_path / "run.toml")
    assert "init" in caught.value.hint


@pytest.mark.parametrize("share", ["0%", "101%", "-5%"])
def test_a_share_lies_between_nothing_and_all(share: str) -> None:
    assert problems(memory={"device_budget": share})


def test_another_backend_does_not_inherit_settings() -> None:
    file = {"judge": {"use": "transformers", "model": "m", "rubric": "r"}, "editor": {"model": "m"}}
    flags = {"judge": {"use": "openai"}, "editor": {"use": "diffusers", "dtype": "bf16"}}
    assert config.layered(file, flags) == {
        "judge": {"use": "openai", "rubric": "r"},
        "editor": {"use": "diffusers", "model": "m", "dtype": "bf16"},
    }
