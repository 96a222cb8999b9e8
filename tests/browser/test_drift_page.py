"""The drift report in a real browser: on a phone in the dark, and on a desk."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.browser import a_page, needs_browser
from treadle_steps import monitor


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1100, False)])
def test_the_report_fits_and_is_read(tmp_path: Path, width: int, dark: bool) -> None:
    draw = np.random.default_rng(3)
    before = pd.DataFrame({"fare": draw.normal(0, 1, 4000), "zone": draw.choice(list("abc"), 4000)})
    now = before.assign(fare=before["fare"] + 1)
    (tmp_path / "drift.html").write_text(monitor.drift(before, now).page, encoding="utf-8")
    with a_page(width, dark) as page:
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((tmp_path / "drift.html").as_uri())
        assert page.title() == "Drift: Drift alarm"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nobody scrolls sideways"
        assert page.locator("article h2").all_inner_texts() == ["fare", "zone"]
        assert page.get_by_text("fare drifted: PSI").is_visible()
        bars = page.locator("article").first.locator("rect")
        assert bars.count() == 20 and all(box["height"] >= 0 for box in (bars.nth(n).bounding_box() for n in range(4)))
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)")
        assert wrong == []
