"""Write docs/pictures/report.png: parts of the demo's report beside each other, as headless Chromium shows them.

Run by `make picture`, after `make demo`: docs/make_picture.py RUN
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parent / "pictures" / "report.png"
SIZE = (1100, 962)
LARGEST = 150_000  # bytes
COLOURS = 128
STYLE = """
nav, footer, section, section table { display: none; }
main { display: grid; grid-template-columns: 216px 1fr 300px; gap: 14px; }
main, header { max-width: none; }
header { padding-top: 18px; }
section { margin: 0; overflow: hidden; padding: 12px 16px; }
section p, section figcaption { display: none; }
section svg { width: 100%; max-height: 250px; }
#network, #accuracy, #traffic, #confusion, #mapping { display: block; }
#network { grid-row: 1 / 3; }
#network svg { max-height: none; }
#accuracy, #traffic { grid-column: 2; }
#confusion, #mapping { grid-column: 3; }
#accuracy, #confusion { grid-row: 1; }
#traffic, #mapping { grid-row: 2; }
"""


def photograph(page: str) -> Image.Image:
    chromium = next(
        filter(
            None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
        ),
        None,
    )
    if chromium is None:
        sys.exit("there is no Chromium; `apt-get install chromium`")
    with tempfile.TemporaryDirectory() as folder:
        around, picture = Path(folder) / "page.html", Path(folder) / "page.png"
        around.write_text(page, encoding="utf-8")
        quiet = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
        )
        size = "--window-size={},{}".format(*SIZE)
        subprocess.run(
            [
                chromium,
                *quiet,
                f"--user-data-dir={folder}/profile",
                size,
                f"--screenshot={picture}",
                around.as_uri(),
            ],
            capture_output=True,
            check=True,
            timeout=300,
        )
        return Image.open(io.BytesIO(picture.read_bytes())).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    report = run / "report.html"
    if not report.exists():
        sys.exit(f"{report}: no such file; `make demo` makes it")
    page = report.read_text(encoding="utf-8").replace(
        "</head>", f"<style>{STYLE}</style></head>"
    )
    page = re.sub(
        r'(<p class="subtitle">)[^<]*/', r"\1", page
    )  # where the run lies is of no interest
    TARGET.parent.mkdir(exist_ok=True)
    photograph(page).quantize(COLOURS).save(TARGET, optimize=True)
    size = TARGET.stat().st_size
    if size > LARGEST:
        sys.exit(f"{TARGET} has {size:,} bytes; at most {LARGEST:,} are wanted")


if __name__ == "__main__":
    main()
