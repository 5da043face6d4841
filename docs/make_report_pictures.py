"""Makes the pictures of a report: the demo suite, edited by pillow, judged by a tiny model.

Needs Chromium and the test extra: python docs/make_report_pictures.py
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from editbench import api  # noqa: E402
from tests.report.browser import started  # noqa: E402
from tests.runs import places  # noqa: E402

SIZE = {"width": 1280, "height": 1480}


def main() -> None:
    """Run, report, and take a picture in each color scheme."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = places(folder) | {"editor": {"use": "pillow"}}
        page = api.write_report(api.run(api.load_config(overrides=settings)))
        with started() as browser:
            for scheme in ("light", "dark"):
                tab = browser.new_page(viewport=SIZE, color_scheme=scheme)
                tab.goto(page.as_uri())
                tab.wait_for_timeout(1000)  # for pictures to be decoded
                shot = Image.open(io.BytesIO(tab.screenshot()))
                shot.save(ROOT / "docs" / f"report-{scheme}.webp", quality=85, method=6)


if __name__ == "__main__":
    main()
