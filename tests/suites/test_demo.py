from __future__ import annotations

from collections import Counter

import pytest

from editbench.errors import SuiteError
from editbench.records import Picture
from editbench.suites.demo import DemoSuite
from editbench.suites.images import decode
from editbench.suites.scenes import draw
from tests.suites.builders import pairs


def test_there_are_36_pairs_in_five_categories() -> None:
    suite = DemoSuite()
    assert Counter(pair.category for pair in pairs(suite)) == {
        "physical": 8,
        "environmental": 7,
        "social": 7,
        "causal": 7,
        "referential": 7,
    }
    assert len({pair.id for pair in pairs(suite)}) == len(suite) == 36


def test_both_languages_have_the_same_ids_and_pictures_and_their_own_words() -> None:
    both = pairs(DemoSuite()), pairs(DemoSuite(language="zh"))
    for english, chinese in zip(*both, strict=True):
        assert (english.id, english.sources) == (chinese.id, chinese.sources)
        for words in (english.category, english.instruction, english.description):
            assert words and words.isascii()
        for words in (chinese.category, chinese.instruction, chinese.description):
            assert words and not words.isascii()
    assert {pair.category for pair in both[1]} == {
        "物理",
        "环境",
        "社会",
        "因果",
        "指代",
    }


def test_every_picture_is_another_and_small() -> None:
    suite = DemoSuite()
    images = [decode(suite.read(pair.sources[0])) for pair in pairs(suite)]
    assert len({image.tobytes() for image in images}) == 36
    assert all(96 <= side <= 320 for image in images for side in image.size)
    assert len({image.size for image in images}) > 20
    assert all(len(image.getcolors(1 << 20) or ()) > 16 for image in images)


def test_a_picture_is_drawn_the_same_every_time() -> None:
    (source,) = DemoSuite()[5].sources
    assert DemoSuite().read(source) == DemoSuite(language="zh").read(source)


def test_a_picture_of_another_suite_is_refused() -> None:
    with pytest.raises(SuiteError, match=r"no picture 'a\.png'"):
        DemoSuite().read(Picture("a.png"))
    with pytest.raises(KeyError):
        draw("nowhere", width=8, height=8, tone=0)
