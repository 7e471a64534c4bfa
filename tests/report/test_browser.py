"""Pages in headless Chromium, 1280 and 400 pixels wide: every section can be seen, and nothing is wider than the page.

Run by `make test-browser`. The screenshots are kept in the folder that $SCREENSHOTS names, if it names one.
"""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.pyplot
import pytest

from snnb import Run
from tests.conftest import DRAWN, figures
from tests.end_to_end.conftest import RECORDED

pytestmark = pytest.mark.browser
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
MOST_BYTES = 3_000_000
# The page stands in a frame of a given width; what is measured is written into the document around it.
FRAME = """<body style="margin:0">
<iframe id="page" style="border:0;width:{width}px;height:{height}px" srcdoc="{page}"></iframe>
<pre id="measured"></pre><script>
onload = () => {{
  const inside = document.getElementById("page").contentDocument, width = inside.documentElement.clientWidth;
  const wide = [], sections = {{}};
  for (const element of inside.querySelectorAll("body *")) {{
    const scrolled = element.parentElement.closest(".scroll"), drawn = element.parentElement.closest("svg");
    const box = element.getBoundingClientRect();
    const out = box.right > width + 0.5 || box.left < -0.5;
    if (!scrolled && !drawn && out) wide.push(element.tagName + " " + box.right);
  }}
  let smallest = 99;  // pixels of a text in a figure
  for (const text of inside.querySelectorAll("svg text")) {{
    const svg = text.closest("svg"), scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    smallest = Math.min(smallest, scale * parseFloat(getComputedStyle(text.querySelector("tspan") || text).fontSize));
  }}
  for (const section of inside.querySelectorAll("section")) {{
    const box = section.getBoundingClientRect();
    sections[section.id] = [box.width, box.height];
  }}
  const size = [inside.documentElement.scrollWidth, inside.documentElement.scrollHeight];
  document.getElementById("measured").textContent = JSON.stringify({{width, wide, sections, size, smallest}});
}}</script>"""


CUT_TABLES = """const wide = [...inside.querySelectorAll("#sweep .scroll")]
    .filter(element => element.scrollWidth > element.clientWidth + 1).map(element => element.scrollWidth)"""


@pytest.fixture(scope="module", autouse=True)
def _pictures():
    with figures(DRAWN):
        yield


@pytest.fixture(scope="module", params=["complete", "squeezenet"])
def page(request, tmp_path_factory):
    if request.param == "squeezenet":
        run = Run(
            "squeezenet_mnist224",
            path=tmp_path_factory.mktemp("squeezed"),
            dataset="digits",
            shape=(64, 64, 1),
        )
        run.prepare(limit=40)
        run.train(epochs=1, steps_per_epoch=1)
        run.simulate(samples=3, duration=30, record_spikes=3)
        run.graph()
        run.map(hardware="jin_84x84", method="sequential")
        return run.report().read_text()
    run = Run(path=shutil.copytree(RECORDED, tmp_path_factory.mktemp("seen") / "run"))
    run.simulate(
        engine="event",
        samples=60,
        duration=60,
        record_spikes=0,
        label="a label of some words " * 8,
    )
    run.graph()
    run.map(hardware="spinemap_5x5", method="sequential")
    chips = ["loihi", "truenorth", "spinemap_5x5"]
    run.sweep(
        {"hardware": chips, "percentile": [99, 99.9], "duration": [5, 7]},
        simulate={"samples": 12},
    )
    return run.report().read_text()


@pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium; `apt-get install chromium`"
)
@pytest.mark.parametrize("page", ["complete"], indirect=True)
def test_tables_of_figures_fit_a_page_of_1200_pixels(page, tmp_path):
    around = tmp_path / "around.html"
    cut = FRAME.replace("const wide = []", CUT_TABLES)
    around.write_text(cut.format(page=html.escape(page), width=1200, height=3000))
    chromium = [
        CHROMIUM,
        *QUIET,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1200,3000",
    ]
    shown_process = subprocess.run(
        [*chromium, "--dump-dom", around.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
    )
    (measured_size,) = re.findall(
        r'<pre id="measured">(\{.*?\})</pre>', shown_process.stdout, re.DOTALL
    )
    assert json.loads(html.unescape(measured_size))["wide"] == []


@pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium; `apt-get install chromium`"
)
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_page_and_every_section_can_be_seen(
    page, tmp_path, width, request
):
    assert len(page.encode()) < MOST_BYTES
    around = tmp_path / "around.html"
    around.write_text(FRAME.format(page=html.escape(page), width=width, height=3000))
    chromium = [
        CHROMIUM,
        *QUIET,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},3000",
    ]
    shown_process = subprocess.run(
        [*chromium, "--dump-dom", around.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
    )
    (measured_size,) = re.findall(
        r'<pre id="measured">(\{.*?\})</pre>', shown_process.stdout, re.DOTALL
    )
    document = json.loads(html.unescape(measured_size))
    assert document["width"] == width
    assert document["wide"] == []
    assert document["size"][0] == width
    assert document["smallest"] > 7 * min(1, width / 400)
    assert list(document["sections"]) == re.findall(r'<section id="(\w+)"', page)
    narrow_rows = (
        200 if width > 1000 else 0.8 * width
    )  # some sections are side by side on a wide page
    assert all(
        narrow_rows < w <= width and height > 60
        for w, height in document["sections"].values()
    )
    picture = tmp_path / "page.png"
    subprocess.run(
        [*chromium, f"--screenshot={picture}", around.as_uri()],
        capture_output=True,
        timeout=300,
        check=True,
    )
    pixels = matplotlib.pyplot.imread(picture)
    assert pixels.shape[1] == width
    assert pixels.std() > 0.05  # something is drawn
    if os.environ.get("SCREENSHOTS"):
        name = re.sub(r"\W+", "-", request.node.callspec.id)
        shutil.copy(picture, Path(os.environ["SCREENSHOTS"]) / f"{name}.png")
