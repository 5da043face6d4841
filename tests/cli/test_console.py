"""The console in ASCII: drawings change, names stay as far as the stream can encode them."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from editbench.cli.dashboard import view
from editbench.cli.tables import lined
from editbench.cli.terminal import Terminal
from editbench.cli.text import inert, mean_and_margin
from tests.cli.builders import state_after


def printed(encoding: str, *, ascii: bool, width: int = 120) -> list[str]:
    data = io.BytesIO()
    file = io.TextIOWrapper(data, encoding)  # strict: what it cannot encode would raise
    console = Terminal(file=file, ascii=ascii, width=width)
    console.print(view(state_after(37), width, 39))
    table = lined("category", "mean ± 95%")
    table.add_row(inert("社会与文化"), mean_and_margin(7.23, 0.41))
    console.print(table)
    file.flush()
    return data.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "utf-8"])
def test_drawings_are_ascii_where_the_stream_is_not_utf_8_or_it_is_asked_for(encoding: str) -> None:
    lines = printed(encoding, ascii=True)
    assert lines[0].startswith("+---")
    assert "editbench - kris" in lines[1]
    names = [line for line in lines if "??????????" in line or "社会与文化" in line]
    assert len(names) == 2
    assert ("社会与文化" in names[0]) is (encoding in ("gbk", "utf-8"))
    rest = "".join(lines).replace("社会与文化", "")
    assert rest.isascii()
    frame = lines[: lines.index(lines[0], 1) + 1]
    assert {cell_len(line) for line in frame} == {120}
    assert names[1].endswith("7.23 +-0.41")
    assert printed(encoding, ascii=False) == lines or encoding == "utf-8"


def test_nothing_changes_where_everything_can_be_shown() -> None:
    text = "".join(printed("utf-8", ascii=False))
    assert "╭" in text and "±" in text and "·" in text
