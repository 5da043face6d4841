"""A bar chart as a small SVG that reads on light and dark pages, and whose text can be selected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

ROW, LABEL, WIDTH = 26, 260, 420  #: pixels: of a bar with its gap, of the names, of the longest bar

_TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{{ width }}" height="{{ height }}" \
viewBox="0 0 {{ width }} {{ height }}" role="img" aria-label="{{ title }}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .quiet { fill: #656d76; font-size: 11.5px }
rect { fill: #8c959f } rect.ours { fill: #1a7f64 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .quiet { fill: #8d96a0 } rect { fill: #6e7681 } rect.ours { fill: #3fb992 }
}
</style>
<text class="title" x="0" y="16">{{ title }}</text>
{% for bar in bars -%}
{% set y = 34 + loop.index0 * row -%}
<text x="{{ label - 10 }}" y="{{ y + 14 }}" text-anchor="end">{{ bar.label }}</text>
{% if bar.length is none -%}
<text class="quiet" x="{{ label }}" y="{{ y + 14 }}">{{ bar.text }}</text>
{% else -%}
<rect x="{{ label }}" y="{{ y }}" width="{{ bar.length }}" height="{{ row - 7 }}" rx="2"\
{% if bar.ours %} class="ours"{% endif %}/>
<text x="{{ label + bar.length + 6 }}" y="{{ y + 14 }}">{{ bar.text }}</text>
{% endif -%}
{% endfor -%}
<text class="quiet" x="0" y="{{ height - 6 }}">{{ note }}</text>
</svg>
"""


class Bar(NamedTuple):
    """A value with its name and the words beside it; no value leaves the words alone."""

    label: str
    value: float | None
    text: str
    ours: bool = False


def bars(title: str, rows: Sequence[Bar], *, note: str, log: bool) -> str:
    """Return a chart of horizontal bars; ``log`` begins at the decade below the least value."""
    import jinja2

    values = [row.value for row in rows if row.value is not None and row.value > 0]
    least = 10 ** math.floor(math.log10(min(values, default=1)))
    most = max(values, default=1)

    def length(value: float | None) -> float | None:
        if value is None:
            return None
        if not log:
            return round(WIDTH * value / most, 1)
        if value <= least:
            return 1
        share = math.log(value / least) / math.log(max(most / least, 1.001))
        return round(WIDTH * share, 1)

    drawn = [
        {"label": row.label, "length": length(row.value), "text": row.text, "ours": row.ours}
        for row in rows
    ]
    template = jinja2.Environment(autoescape=True).from_string(_TEMPLATE)
    return template.render(
        title=title,
        bars=drawn,
        note=note,
        row=ROW,
        label=LABEL,
        width=LABEL + WIDTH + 190,
        height=34 + len(rows) * ROW + 28,
    )
