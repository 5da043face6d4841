"""What a judge is asked, and how its numbers become one: rubrics, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from editbench.errors import ConfigError
from editbench.records import Json
from editbench.suites import formulas

_GENERAL = "general"  #: the prompt of categories that no other prompt names
_REASON = "reason"


class Prompt(NamedTuple):
    """What a judge is asked about one pair."""

    system: str
    user: str
    contract: Mapping[str, Json]  #: JSON schema of the reply, shared by prompts of one aspect


@dataclass(frozen=True, slots=True)
class Criterion:
    """One number that the judge gives."""

    name: str
    ask: str
    low: int
    high: int
    weight: float


@dataclass(frozen=True, slots=True)
class Aspect:
    """The prompt of some categories."""

    system: str
    user: str
    focus: str
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Rubric:
    """A prompt for every category, and the formula that makes one number of the criteria."""

    name: str
    formula: Literal["mean", "min", "geometric", "weighted"]
    low: float
    high: float
    reason_length: int  #: characters that the judge may explain itself with
    aspects: Mapping[str, Aspect]  #: by category; the one called ``general`` serves all others

    def aspect(self, category: str) -> Aspect:
        """Return what a category is judged by."""
        return self.aspects.get(category.strip().casefold()) or self.aspects[_GENERAL]

    def prompt(
        self, category: str, instruction: str, description: str = "", *, sources: int = 1
    ) -> Prompt:
        """Return what to ask about an edit that was made of so many source images."""
        aspect = self.aspect(category)
        values = {
            "images": _images(sources),
            "instruction": instruction.strip(),
            "description": description.strip(),
            "focus": aspect.focus.strip(),
            "criteria": _listing(aspect.criteria),
        }
        return Prompt(
            system=fill(aspect.system, values),
            user=fill(aspect.user, values),
            contract=_contract(aspect.criteria, self.reason_length),
        )

    def overall(self, category: str) -> Callable[[Mapping[str, float]], float]:
        """Return the function from a category's criteria to one number on the rubric's scale."""
        criteria = self.aspect(category).criteria

        def score(values: Mapping[str, float]) -> float:
            shares = [(values[c.name] - c.low) / (c.high - c.low) for c in criteria]
            share = self._combine(shares, [c.weight for c in criteria])
            # Machines differ in the last bit of a root; results should not.
            return round(self.low + (self.high - self.low) * share, 9)

        return score

    def _combine(self, shares: list[float], weights: list[float]) -> float:
        match self.formula:
            case "mean":
                return formulas.mean(shares)
            case "min":
                return formulas.minimum(shares)
            case "geometric":
                return formulas.geometric(shares)
            case "weighted":
                return formulas.weighted(shares, weights)


@lru_cache
def _listing(criteria: tuple[Criterion, ...]) -> str:
    return "\n".join(f"- {c.name} ({c.low} to {c.high}): {c.ask}" for c in criteria)


@lru_cache
def _contract(criteria: tuple[Criterion, ...], reason_length: int) -> dict[str, Json]:
    # The reason comes first: a judge that writes in order thinks before it counts.
    properties: dict[str, Json] = {
        _REASON: {"type": "string", "maxLength": reason_length},
        **{c.name: {"type": "integer", "minimum": c.low, "maximum": c.high} for c in criteria},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def load_rubric(name_or_path: str) -> Rubric:
    """Return the rubric ``default``, or one from a TOML file.

    Raises ``ConfigError`` listing every problem of the file.
    """
    try:
        if name_or_path == "default":
            file = resources.files(__package__).joinpath("default_rubric.toml")
            text, name = file.read_text(encoding="utf-8"), name_or_path
        else:
            path = Path(name_or_path).expanduser()
            text, name = path.read_text(encoding="utf-8"), path.stem
        tables = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no rubric {name_or_path}", hint="give a TOML file, or 'default'"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"cannot read the rubric {name_or_path}: {exc}") from exc
    try:
        return _RubricFile.model_validate(tables).rubric(name)
    except ValidationError as exc:
        problems = [line for error in exc.errors() for line in _problem(error).splitlines()]
        raise ConfigError(
            f"the rubric {name_or_path} has "
            + ("1 problem" if len(problems) == 1 else f"{len(problems)} problems"),
            problems=problems,
        ) from None


def rubric_schema() -> dict[str, Json]:
    """Return the JSON schema of a rubric's file."""
    return {**_RubricFile.model_json_schema(), "title": "A rubric of editbench"}


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into a template's ``$names``, leaving out lines whose value is empty.

    Values are never read as templates: a brace or a dollar sign in them stays what it is.
    """
    empty = frozenset(name for name, value in values.items() if not value)
    return _without(template, empty).format_map(values)


@lru_cache
def _without(template: str, empty: frozenset[str]) -> str:
    """Return the lines of a template that name nothing empty.

    They are in the syntax of ``str.format``, which is many times faster.
    """
    found = []
    for text in template.strip().splitlines():
        line = Template(text)
        names = line.get_identifiers()
        if empty.isdisjoint(names):
            marked = line.substitute({name: f"\0{name}\1" for name in names})
            marked = marked.replace("{", "{{").replace("}", "}}")
            found.append(marked.replace("\0", "{").replace("\1", "}"))
    return "\n".join(found)


def _images(sources: int) -> str:
    if sources == 1:
        return "Image 1 is the source. Image 2, the last, is the edited image."
    return (
        f"Images 1 to {sources} are the sources, in order. "
        f"Image {sources + 1}, the last, is the edited image."
    )


_PLACEHOLDERS = {"images", "instruction", "description", "focus", "criteria"}


def _template(text: str) -> str:
    if not Template(text).is_valid():
        raise ValueError("a $ must be followed by a name; write $$ for a dollar sign")
    unknown = sorted(set(Template(text).get_identifiers()) - _PLACEHOLDERS)
    if unknown:
        known = ", ".join(f"${name}" for name in sorted(_PLACEHOLDERS))
        raise ValueError(f"unknown ${', $'.join(unknown)}; known are {known}")
    return text


def _ascending(scale: tuple[int, int]) -> tuple[int, int]:
    if scale[0] >= scale[1]:
        raise ValueError(f"a scale goes from low to high, got {list(scale)}")
    return scale


_Text = Annotated[str, AfterValidator(_template)]
_Scale = Annotated[tuple[int, int], AfterValidator(_ascending)]
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)


class _CriterionTable(_Table):
    ask: str = Field(min_length=1)
    scale: _Scale | None = None
    weight: float = Field(1, gt=0, allow_inf_nan=False)


class _PromptTable(_Table):
    categories: list[str] = Field(default_factory=list)
    system: _Text | None = None
    user: _Text | None = None
    focus: str = ""
    criteria: dict[_Name, _CriterionTable] = Field(default_factory=dict)


class _RubricFile(_Table):
    """The TOML file."""

    formula: Literal["mean", "min", "geometric", "weighted"]
    scale: _Scale = (0, 10)
    reason_length: int = Field(120, ge=1, le=10_000)
    system: _Text | None = None
    user: _Text | None = None
    criteria: dict[_Name, _CriterionTable] = Field(default_factory=dict)
    prompts: dict[str, _PromptTable]

    @model_validator(mode="after")
    def _is_whole(self) -> _RubricFile:
        problems = [] if _GENERAL in self.prompts else [f"no [prompts.{_GENERAL}]"]
        owners: dict[str, str] = {}
        for name, prompt in self.prompts.items():
            place = f"prompts.{name}"
            problems += [
                f"{place} has no {part}, nor has the rubric"
                for part in ("system", "user")
                if not (getattr(prompt, part) or getattr(self, part))
            ]
            criteria = self.criteria | prompt.criteria
            if not criteria:
                problems.append(f"{place} has no criteria")
            if _REASON in criteria:
                problems.append(f"{place}: a criterion cannot be called {_REASON}")
            for category in self._categories(name, prompt):
                owner = owners.setdefault(category, name)
                if owner != name:
                    problems.append(f"{place}: the category {category!r} belongs to {owner}")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @staticmethod
    def _categories(name: str, prompt: _PromptTable) -> list[str]:
        names = prompt.categories or [name]
        return [category.strip().casefold() for category in names]

    def rubric(self, name: str) -> Rubric:
        """Return the rubric that the file describes."""
        aspects: dict[str, Aspect] = {}
        for title, prompt in self.prompts.items():
            aspect = self._aspect(prompt)
            aspects |= dict.fromkeys(self._categories(title, prompt), aspect)
            if title == _GENERAL:
                aspects[_GENERAL] = aspect
        return Rubric(name, self.formula, *self.scale, self.reason_length, aspects)

    def _aspect(self, prompt: _PromptTable) -> Aspect:
        criteria = []
        for name, table in (self.criteria | prompt.criteria).items():
            low, high = table.scale or self.scale
            criteria.append(Criterion(name, table.ask, low, high, table.weight))
        return Aspect(
            prompt.system or self.system or "",
            prompt.user or self.user or "",
            prompt.focus,
            tuple(criteria),
        )


def _problem(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":
        text = str(error["ctx"]["error"])
    elif error["type"] == "extra_forbidden":
        text = "unknown setting"
    elif error["type"] == "missing":
        text = "missing"
    else:
        text = f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {error['input']!r}"
    return f"{place}: {text}" if place else text
