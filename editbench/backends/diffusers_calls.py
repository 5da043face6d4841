"""How to call an editing pipeline, read off its signature. Pure: takes classes, returns arguments.

No two pipelines of diffusers agree on names, order and defaults, so everything goes by keyword and
only what the class takes is given.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from editbench.backends.sizes import is_size
from editbench.records import Json

#: A list of images means one for each prompt. Shown to give the same edits as one by one.
BATCHES = frozenset(
    {
        "QwenImageEditPipeline",
        "FluxKontextPipeline",
        "StableDiffusionInstructPix2PixPipeline",
    }
)
#: A list of images means references for one prompt. Several prompts would share all of them.
REFERENCES = frozenset(
    {
        "QwenImageEditPlusPipeline",
        "QwenImage21Pipeline",
        "Flux2Pipeline",
        "Flux2KleinPipeline",
        "Flux2KleinKVPipeline",
    }
)

_IMAGES = ("image", "input_images", "images", "source_image")
_OURS = {  # what each edit decides, or what would change the shape of the answer
    *_IMAGES,
    "self",
    "prompt",
    "generator",
    "latents",
    "height",
    "width",
    "num_images_per_prompt",
    "output_type",
    "return_dict",
    "callback_on_step_end",
    "callback_on_step_end_tensor_inputs",
}


def parameters(pipeline: type) -> Mapping[str, inspect.Parameter]:
    """Return what the pipeline's call takes by name."""
    call: Any = pipeline.__call__
    return {
        name: parameter
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def takes(pipeline: type, name: str) -> bool:
    """Return whether the pipeline's call has an argument of that name."""
    return name in parameters(pipeline)


def problems(pipeline: type, args: Mapping[str, Json]) -> list[str]:
    """Return a line for each argument that the pipeline does not take or that is not the user's."""
    allowed = set(parameters(pipeline)) - _OURS
    lines = []
    for name in args:
        if name == "size":
            if not is_size(args[name]):
                lines.append(
                    "args.size                expected 'source', 'auto' or [width, height]"
                )
        elif name in ("height", "width"):
            lines.append(f"args.{name:<19} write size = [width, height], 'source' or 'auto'")
        elif name in _OURS:
            lines.append(f"args.{name:<19} editbench sets this itself")
        elif name not in allowed:
            near = get_close_matches(name, [*sorted(allowed), "size"], n=1)
            wanted = f", did you mean {near[0]!r}?" if near else ""
            lines.append(f"args.{name:<19} {pipeline.__name__} takes no such argument{wanted}")
    return lines


def resolve(pipeline: type, args: Mapping[str, Json], *, tiny: bool) -> dict[str, Json]:
    """Return every argument that an edit is made with: the class's defaults, ours, then ``args``.

    ``size`` is among them; seeds, images and instructions are not.
    """
    known = parameters(pipeline)
    chosen: dict[str, Json] = {
        name: parameter.default
        for name, parameter in known.items()
        if name not in _OURS and type(parameter.default) in (bool, int, float, str)
    }
    chosen["size"] = "source" if tiny else "auto"
    if tiny:
        chosen |= {
            name: value
            for name, value in {"num_inference_steps": 2, "_auto_resize": False}.items()
            if name in known
        }
    chosen |= args
    if "negative_prompt" in known and chosen.get("true_cfg_scale", 1) > 1:
        # Without a negative prompt these pipelines drop their guidance, with only a log line.
        chosen.setdefault("negative_prompt", " ")
    if chosen["size"] != "auto" and "max_area" not in args:
        chosen.pop("max_area", None)  # follows from the size
    return chosen


def arguments(
    pipeline: type,
    resolved: Mapping[str, Json],
    *,
    images: Sequence[Any],
    prompts: Sequence[str],
    generators: Sequence[Any],
    size: tuple[int, int] | None,
) -> dict[str, Any]:
    """Return the keywords of one call: a batch, references for one prompt, or a single image."""
    known = parameters(pipeline)
    keywords = {name: value for name, value in resolved.items() if name != "size"}
    image = next((name for name in _IMAGES if name in known), "image")
    if pipeline.__name__ in BATCHES:
        keywords |= {image: list(images), "prompt": list(prompts), "generator": list(generators)}
        if isinstance(negative := keywords.get("negative_prompt"), str):
            keywords["negative_prompt"] = [negative] * len(prompts)
    else:
        several = pipeline.__name__ in REFERENCES
        keywords[image] = list(images) if several else images[0]
        keywords |= {"prompt": prompts[0], "generator": generators[0]}
    if size and "height" in known and "width" in known:
        keywords["width"], keywords["height"] = size
    if size and "max_area" in known:
        keywords.setdefault("max_area", size[0] * size[1])
    return keywords
