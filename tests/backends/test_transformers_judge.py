from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from editbench.backends import tiny
from editbench.backends.transformers_judge import TransformersJudge, TransformersSettings
from editbench.engine.protocols import Question
from editbench.errors import BackendError, EditbenchError, OutOfMemory, Stopped
from editbench.suites.rubrics import load_rubric

from .aligned import place
from .pictures import CONTRACT, go_on, noise, question


def make(model: str = "tiny/qwen3-vl", *, load: bool = True, **settings: Any) -> TransformersJudge:
    made = TransformersJudge(TransformersSettings(model=model, **settings))
    if load:
        made.load()
    return made


def mixed() -> list[Question]:
    """Questions that differ in the number and the size of their images and in length."""
    other: dict[str, Any] = dict(CONTRACT) | {
        "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 1}},
        "required": ["score"],
    }
    return [
        question(1),
        question(2, images=3, size=(64, 160)),
        question(3, images=1, size=(300, 200), contract=other),
        question(44444444, images=2, size=(40, 40)),
    ]


@pytest.mark.parametrize("model", tiny.JUDGES)
def test_a_mixed_batch_gets_the_replies_of_its_questions(built: Path, model: str) -> None:
    subject = make(model)
    alone = [subject.ask([each], stop=go_on)[0] for each in mixed()]
    assert subject.ask(mixed(), stop=go_on) == alone
    assert subject.ask(mixed()[::-1], stop=go_on) == alone[::-1]


@pytest.mark.parametrize("model", tiny.JUDGES)
def test_a_reply_keeps_the_contract_and_its_order(built: Path, model: str) -> None:
    subject = make(model)
    for reply in subject.ask([question(seed) for seed in range(6)], stop=go_on):
        assert reply.finish == "stop"
        assert 0 < reply.tokens < subject.identity["max_new_tokens"]
        assert list(json.loads(reply.text)) == list(CONTRACT["properties"])


@pytest.mark.parametrize("model", tiny.JUDGES)
def test_scores_depend_on_what_is_shown(built: Path, model: str) -> None:
    replies = make(model).ask([question(seed) for seed in range(8)], stop=go_on)
    assert len({reply.text.partition('"quality"')[2] for reply in replies}) > 3


@pytest.mark.parametrize("model", tiny.JUDGES)
def test_the_default_rubric_fits_into_the_default_number_of_tokens(built: Path, model: str) -> None:
    rubric = load_rubric("default")
    questions = []
    for number, category in enumerate(["physical", "environmental", "social", "causal", "other"]):
        asked = rubric.prompt(category, "把红色的杯子换成一杯牛奶", "a cup on a table")
        shown = (noise(number), noise(number + 50))
        questions.append(Question(category, shown, asked.system, asked.user, asked.contract))
    for reply in make(model).ask(questions, stop=go_on):
        assert reply.finish == "stop" and json.loads(reply.text)


@pytest.mark.parametrize("model", ["tiny/qwen3-vl", "tiny/qwen3-vl-moe"])
def test_replies_are_the_same_wherever_the_weights_lie(built: Path, model: str) -> None:
    subject = make(model)

    def logits() -> torch.Tensor:
        inputs = subject._inputs([question(1)])
        with torch.no_grad():
            return subject.modules()["model"](**inputs).logits  # type: ignore[no-any-return]

    rooms = [place(subject.modules())]
    before, reply = logits(), subject.ask([question(1)], stop=go_on)
    rooms.append(place(subject.modules()))
    rooms[0].fill_(255)
    assert torch.equal(logits(), before)
    assert subject.ask([question(1)], stop=go_on) == reply


def test_a_reply_that_is_cut_off_says_so(built: Path) -> None:
    (reply,) = make(max_new_tokens=5).ask([question()], stop=go_on)
    assert (reply.finish, reply.tokens) == ("length", 5)


def test_a_judge_may_be_left_to_say_what_it_likes(built: Path) -> None:
    (reply,) = make(constrained=False, max_new_tokens=20).ask([question()], stop=go_on)
    with pytest.raises(ValueError):
        json.loads(reply.text)


def stop_after(polls: int) -> Callable[[], bool]:
    left = iter([False] * polls)
    return lambda: next(left, True)


@pytest.mark.parametrize("polls", [0, 1, 7])
def test_a_stop_is_heard_after_every_token(judge: TransformersJudge, polls: int) -> None:
    before = judge.ask([question()], stop=go_on)
    with pytest.raises(Stopped):
        judge.ask([question()], stop=stop_after(polls))
    assert judge.ask([question()], stop=go_on) == before


def test_sampling_is_repeatable_by_its_seed_and_asks_one_by_one(built: Path) -> None:
    hot = make(temperature=1.5, seed=1)
    assert hot.max_batch == 1
    replies = hot.ask([question()], stop=go_on)
    torch.rand(3)
    assert hot.ask([question()], stop=go_on) == replies
    assert make(temperature=1.5, seed=2).ask([question()], stop=go_on) != replies
    assert json.loads(replies[0].text)


def test_sampling_leaves_the_global_random_numbers_alone(built: Path) -> None:
    subject = make(temperature=1.0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    subject.ask([question()], stop=go_on)
    assert torch.equal(torch.rand(3), expected)


def test_what_the_checkpoint_says_of_sampling_is_not_heard(built: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny.checkpoint("tiny/qwen3-vl"), copy)
    advice = {"do_sample": True, "temperature": 2.0, "top_k": 2, "repetition_penalty": 9.0}
    shipped = json.loads((copy / "generation_config.json").read_text()) | advice
    (copy / "generation_config.json").write_text(json.dumps(shipped))
    assert make(str(copy)).ask(mixed(), stop=go_on) == make().ask(mixed(), stop=go_on)


def test_an_image_above_the_limit_is_scaled_down(built: Path) -> None:
    subject = make(max_pixels=64 * 64)
    shown = subject._conversation(question(size=(256, 64)))[1]["content"][0]["image"]
    assert shown.size == (128, 32)
    assert subject.working_bytes(1000, 1000) == subject.working_bytes(64, 64)


def test_images_come_first_and_in_order_and_an_empty_system_is_left_out(built: Path) -> None:
    subject = make(load=False)
    asked = question(images=3)
    system, user = subject._conversation(asked)
    assert system["content"] == [{"type": "text", "text": asked.system}]
    assert [part.get("image") for part in user["content"][:3]] == list(asked.images)
    assert user["content"][3]["text"] == asked.user
    bare = Question("x", asked.images, "", asked.user, CONTRACT)
    assert [turn["role"] for turn in subject._conversation(bare)] == ["user"]


def test_logits_that_are_not_numbers_are_an_error_and_no_verdict(built: Path) -> None:
    subject = make()
    with torch.no_grad():
        next(subject.modules()["model"].parameters()).fill_(float("nan"))
    with pytest.raises(EditbenchError, match="not numbers"):
        subject.ask([question()], stop=go_on)


def test_a_full_device_is_our_error(built: Path) -> None:
    subject = make()

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    subject.modules()["model"].register_forward_pre_hook(full)
    with pytest.raises(OutOfMemory, match="while judging"):
        subject.ask([question()], stop=go_on)


def test_the_identity_says_what_determines_a_reply_and_nothing_else(built: Path) -> None:
    identity = make(load=False, threads=2, seed=7).identity
    assert set(identity) == {
        "backend",
        "version",
        "model",
        "weights",
        "dtype",
        "max_new_tokens",
        "temperature",
        "seed",
        "max_pixels",
        "constrained",
    }
    assert identity == make(load=False).identity  # nothing is sampled, so the seed says nothing
    assert identity != make(load=False, max_pixels=10_000).identity
    assert str(built) not in json.dumps(identity)


def test_what_cannot_be_asked_is_refused(judge: TransformersJudge) -> None:
    assert judge.ask([], stop=go_on) == []
    with pytest.raises(ValueError, match="at most 16"):
        judge.ask([question()] * 17, stop=go_on)
    with pytest.raises(BackendError, match="not loaded"):
        make(load=False).ask([question()], stop=go_on)


def test_half_precision_runs(built: Path) -> None:
    subject = make(dtype="bf16")
    assert subject.ask([question()], stop=go_on)[0].finish == "stop"
    assert subject.footprint == make(load=False).footprint // 2
