from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from editbench import config
from editbench.backends import registry
from editbench.backends.pillow_editor import PillowEditor
from editbench.errors import BackendError, ConfigError

ROOT = Path(__file__).parents[2]
FACTORY = """
from pydantic import BaseModel

class Settings(BaseModel, extra="forbid"):
    level: int = 3

class Factory:
    Settings = Settings
    def __init__(self, settings):
        self.level = settings.level

class Bare:
    pass
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution with editors on the import path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(distribution: str, **editors: str) -> None:
        facts = tmp_path / f"{distribution.replace('-', '_')}-2.1.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Name: {distribution}\nVersion: 2.1\n")
        lines = [f"{name} = {target}" for name, target in editors.items()]
        (facts / "entry_points.txt").write_text("\n".join(["[editbench.editors]", *lines]))

    (tmp_path / "plugin_of_test.py").write_text(FACTORY)
    (tmp_path / "broken_of_test.py").write_text("raise OSError('no licence file\\nsecond line')")
    return install


def test_the_built_in_backends_are_those_of_the_package_metadata() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert registry._BUILT_IN["editor"] == project["entry-points"]["editbench.editors"]
    assert registry._BUILT_IN["judge"] == project["entry-points"]["editbench.judges"]


@pytest.mark.parametrize("kind", ["editor", "judge"])
def test_every_built_in_backend_is_found_and_declares_settings(kind: registry.Kind) -> None:
    for listed in registry.names(kind):
        assert registry.find(kind, listed.name).Settings.model_json_schema()  # type: ignore[attr-defined]


def test_a_plugin_is_listed_and_found_by_name(install: Callable[..., None]) -> None:
    install("acme-edit", acme="plugin_of_test:Factory")
    row = registry.Listed("acme", "acme-edit", "2.1", "plugin_of_test:Factory")
    assert row in registry.names("editor")
    assert registry.make("editor", "acme", {"level": 5}).level == 5


def test_a_broken_neighbour_does_no_harm(install: Callable[..., None]) -> None:
    install("acme-edit", broken="broken_of_test:Factory")
    assert registry.find("editor", "pillow") is PillowEditor


def test_an_import_that_fails_names_the_distribution_and_the_first_line(
    install: Callable[..., None],
) -> None:
    install("acme-edit", broken="broken_of_test:Factory")
    with pytest.raises(BackendError, match=r"acme-edit 2\.1: OSError: no licence file$"):
        registry.find("editor", "broken")


def test_a_name_that_two_distributions_offer_needs_the_distribution(
    install: Callable[..., None],
) -> None:
    install("acme-edit", pillow="plugin_of_test:Factory")
    with pytest.raises(BackendError, match="editbench and acme-edit") as caught:
        registry.find("editor", "pillow")
    assert "acme-edit/pillow" in caught.value.hint
    assert registry.find("editor", "editbench/pillow") is PillowEditor
    assert registry.find("editor", "acme-edit/pillow") is not PillowEditor


def test_an_unknown_name_lists_what_there_is_and_what_was_meant() -> None:
    with pytest.raises(BackendError, match="did you mean 'pillow'") as caught:
        registry.find("editor", "pilow")
    assert "diffusers" in caught.value.hint


def test_a_factory_can_be_named_by_module_or_by_file(
    install: Callable[..., None], tmp_path: Path
) -> None:
    by_module = registry.make("judge", "plugin_of_test:Factory", {"level": 7})
    by_file = registry.make("judge", f"{tmp_path / 'plugin_of_test.py'}:Factory", {})
    assert (by_module.level, by_file.level) == (7, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plugin_of_test:Missing", "plugin_of_test has no 'Missing'"),
        ("plugin_of_test:Bare", "no backend"),
        ("no_such_module:Factory", "ModuleNotFoundError"),
        ("no/such/file.py:Factory", "FileNotFoundError"),
    ],
)
def test_a_target_that_is_no_backend_is_refused(
    install: Callable[..., None], name: str, message: str
) -> None:
    with pytest.raises(BackendError, match=message):
        registry.find("editor", name)


def test_wrong_settings_are_explained_in_the_words_of_the_configuration() -> None:
    lines = registry.check_settings(
        "editor", "diffusers", {"dytpe": "bf16", "threads": 0}, explain=config.explain
    )
    assert [line.split()[0] for line in lines] == ["editor.threads", "editor.dytpe"]
    assert "did you mean 'dtype'?" in lines[1]
    assert registry.check_settings("editor", "pillow", {}, explain=config.explain) == []


def test_making_with_wrong_settings_names_each() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.make("editor", "pillow", {"strength": 7, "size": 1})
    assert len(caught.value.problems) == 2


def test_finding_every_built_in_backend_imports_no_model_library() -> None:
    code = (
        "import sys; from editbench.backends import registry as r\n"
        "for k in ('editor', 'judge'):\n"
        "    for row in r.names(k): f = r.find(k, row.name); f(f.Settings())\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
