"""JSON schemas of what people write: the run file, a suite's formats, a rubric.

Made on the machine that asks, so that they hold what its plug-ins can be set to and are never
older than the code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from editbench.backends import registry
from editbench.backends.home import home
from editbench.config import EditorConfig, JudgeConfig, RunConfig
from editbench.errors import EditbenchError
from editbench.records import Json
from editbench.report.files import replaced
from editbench.suites.rubrics import rubric_schema

Written = Literal["run", "pairs", "five", "rubric"]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Json = {"type": "string", "minLength": 1}
_NAME: Json = {"type": ["string", "integer"]}


def schema(of: Written = "run") -> dict[str, Json]:
    """Return the JSON schema of a run file, of a pair in a table, of a five-category file, or of
    a rubric.
    """
    made: Mapping[Written, Callable[[], dict[str, Json]]] = {
        "run": _run,
        "pairs": _pairs,
        "five": _five,
        "rubric": rubric_schema,
    }
    return {"$schema": DIALECT, **made[of]()}


def write_schema() -> Path:
    """Write the run file's schema into editbench's home and return where, for editors to read."""
    path = home() / "schemas" / "run.schema.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as stream:
        stream.write(json.dumps(schema("run"), indent=1) + "\n")
    return path


def _run() -> dict[str, Json]:
    made = RunConfig.model_json_schema()
    made["title"] = "A run of editbench"
    _add_backends(made, "editor", EditorConfig.__name__)
    _add_backends(made, "judge", JudgeConfig.__name__)
    return made


def _add_backends(made: dict[str, Any], kind: registry.Kind, definition: str) -> None:
    """Let a role's table hold what the backend that it uses can be set to, and nothing else."""
    table = made["$defs"][definition]
    default = table["properties"]["use"]["default"]
    choices = []
    for listed in registry.names(kind):
        try:
            factory: Any = registry.find(kind, listed.name)
        except EditbenchError:
            continue  # one that cannot be loaded is a matter for doctor
        own = factory.Settings.model_json_schema(ref_template="#/$defs/{model}")
        made["$defs"] |= own.pop("$defs", {})
        known = {**table["properties"], **own["properties"]}
        known["use"] = {"const": listed.name}
        choice = {"properties": known, "additionalProperties": False, "title": listed.name}
        choices.append(choice if listed.name == default else choice | {"required": ["use"]})
    # A backend of one's own, by module or file, may be set to anything.
    own_one = {"properties": {"use": {"type": "string", "pattern": "[:/]"}}, "required": ["use"]}
    table["anyOf"] = [*choices, own_one]


def _pairs() -> dict[str, Json]:
    texts = {
        f"{name}{suffix}": {"type": "string", "description": f"{what}{language}"}
        for name, what in (
            ("instruction", "what to change"),
            ("description", "what the source shows"),
        )
        for suffix, language in (("", ""), ("_en", ", in English"), ("_zh", ", in Chinese"))
    }
    paths = {
        "type": ["string", "array"],
        "items": _TEXT,
        "description": "image files beside this one: the sources, in order",
    }
    return {
        "title": "A pair: one line of a .jsonl suite, or one row of a .csv",
        "type": "object",
        "properties": {
            "id": _NAME | {"description": "names the pair; no other may have it"},
            "category": _NAME,
            **texts,
            **dict.fromkeys(("source", "sources", "image", "source_image"), paths),
        },
        "required": ["id", "category"],
        "allOf": [
            {"anyOf": [{"required": [f"instruction{end}"]} for end in ("", "_en", "_zh")]},
            {
                "anyOf": [
                    {"required": [name]} for name in ("source", "sources", "image", "source_image")
                ]
            },
        ],
        "additionalProperties": True,
    }


def _five() -> dict[str, Json]:
    item = {
        "type": "object",
        "properties": {
            "subset": _NAME | {"description": "the category; a group's name stands in for it"},
            "edit_instruction": {"type": "string", "description": "in Chinese"},
            "edit_instruction_en": {"type": "string", "description": "in English"},
            "original_description": {"type": "string"},
            "original_description_en": {"type": "string"},
            "original_image_path": {"type": "string", "description": "its stem is the pair's id"},
            "src_img_b64": {"type": "string", "minLength": 1, "contentEncoding": "base64"},
        },
        "required": ["src_img_b64"],
    }
    items = {"type": "array", "items": {"$ref": "#/$defs/item"}}
    return {
        "title": "A suite of five categories, its images inlined",
        "$defs": {"item": item},
        "anyOf": [items, {"type": "object", "additionalProperties": items}],
    }
