"""What the README tells to type exists: targets of make and extras; and its Python runs."""

import re
from importlib.metadata import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_targets_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    wanted = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test", "setup", "image"} <= wanted
    assert wanted <= {*re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)}


def test_the_extras_are_the_packages():
    named = {*metadata("snnb").get_all("Provides-Extra")} - {"dev", "gpu", "newest"}
    assert [extra for extra in named if f"`{extra}`" not in README] == []
    assert {word for words in re.findall(r"pip install '\.\[(.*?)\]'", README) for word in words.split(",")} <= named
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert set(re.findall(r"how_to_install\(['\"](\w+)", code)) == named


def test_no_page_or_message_installs_a_package_that_is_on_no_index():
    texts = [
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "docker" / "README.md",
        ROOT / "README.md",
    ]
    assert [str(path) for path in texts if re.search(r"snnb\[", path.read_text(encoding="utf-8"))] == []


def test_the_python_of_the_page_runs_as_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    left = {}
    exec(compile(block.replace("epochs=10", "epochs=1"), "README.md", "exec"), left)
    assert left["graph"].number_of_edges() == int(re.search(r"number_of_edges\(\) +# (\d+)", block)[1])
    assert sum(len(batch.source) for batch in left["graph"].edge_batches(1_000_000)) == left["graph"].number_of_edges()
