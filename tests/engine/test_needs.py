"""What is said of models that do not fit: every way to run them, with its bytes."""

from __future__ import annotations

from editbench.engine.needs import Need, Room, price, refusal, remedies
from editbench.engine.protocols import Part, Streaming

GB = 10**9
ROOM = Room("cuda:0", 24 * GB)
EDITOR = Need(
    "Qwen-Image-Edit",
    58 * GB,
    3 * GB,
    parts=(Part("denoise", {"transformer": 41 * GB}),),
    smaller={'quantize = "nf4"': 17 * GB, 'quantize = "int8"': 30 * GB},
)
JUDGE = Need("Qwen3-VL", 62 * GB, 2 * GB, smaller={'quantize = "nf4"': 60 * GB})


def test_a_refusal_lists_every_way_with_its_bytes_and_advises_what_fits() -> None:
    error = refusal({"edit": EDITOR}, 3 * GB, ROOM)
    assert str(error) == "Qwen-Image-Edit needs 61.0 GB, and cuda:0 has 24.0 GB"
    assert error.problems == (
        "editor: as it is            58.0 GB and 3.00 GB for a step, does not fit",
        "editor: in parts            41.0 GB for the largest, does not fit",
        'editor: quantize = "nf4"    17.0 GB, fits',
        'editor: quantize = "int8"   30.0 GB, does not fit',
        "editor: streamed            not possible here",
    )
    assert error.hint == (
        'set editor.quantize = "nf4", or raise --device-budget to 61.0 GB, if the device has it, '
        "or choose a smaller model or another --device"
    )


def test_both_models_are_refused_at_once() -> None:
    error = refusal({"edit": EDITOR, "score": JUDGE}, 3 * GB, ROOM)
    assert str(error) == (
        "Qwen-Image-Edit needs 61.0 GB and Qwen3-VL needs 65.0 GB, and cuda:0 has 24.0 GB"
    )
    assert {line.partition(":")[0] for line in error.problems} == {"editor", "judge"}
    assert "65.0 GB" in error.hint and "judge." not in error.hint


def test_the_mildest_of_the_settings_that_fit_comes_first() -> None:
    assert remedies(EDITOR, 3 * GB, Room("cuda:0", 40 * GB)) == [
        ('quantize = "int8"', 30 * GB),
        ('quantize = "nf4"', 17 * GB),
    ]
    assert remedies(EDITOR, 3 * GB, Room("cuda:0", 20 * GB - 1)) == []


def test_the_price_of_streaming_is_bytes_over_the_link_and_what_would_avoid_it() -> None:
    need = Need("big", 58 * GB, streaming=Streaming(22 * GB, 41 * GB), smaller=EDITOR.smaller)
    what, instead = price("edit", need, 3 * GB, ROOM, bytes_per_second=20e9)
    assert what == (
        "big needs 61.0 GB at once and cuda:0 has 24.0 GB: it is streamed, "
        "so 41.0 GB come over the link, 2.0s, for each step of an edit"
    )
    assert instead == 'with quantize = "nf4" it would take 17.0 GB and not be streamed'
    (what, *_) = price("score", need, 3 * GB, ROOM, bytes_per_second=None)
    assert what.endswith("so 41.0 GB come over the link for each token of a reply")
