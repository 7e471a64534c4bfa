"""Figures: names in them as plain text, and files that are equal bytes for equal pictures."""

from functools import lru_cache
from pathlib import Path
from typing import Dict

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from snnb.text import printable

DPI = 120


def plain(name: str, longest: int = 32) -> str:
    """A name as text that matplotlib draws as it is: `$` begins no formula, and every character is in the font.

    Parameters
    ----------
    longest
        Characters; of a longer name the middle is left out.
    """
    text = printable(name).replace("\n", "\\n")
    if len(text) > longest:
        begin = (longest - 1) // 2
        text = f"{text[:begin]}…{text[begin + 1 - longest :]}"
    drawn = "".join(char if ord(char) in _glyphs() else "?" for char in text)
    return drawn.replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    figure.tight_layout()
    figure.savefig(path, dpi=DPI, metadata={"Software": None})  # so that equal plots are equal bytes


@lru_cache(maxsize=1)
def _glyphs() -> Dict[int, int]:
    glyphs: Dict[int, int] = get_font(findfont(FontProperties())).get_charmap()
    return glyphs
