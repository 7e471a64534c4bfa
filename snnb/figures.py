"""Figures: names are drawn as plain text, and equal pictures give files of equal bytes."""

from functools import lru_cache
from pathlib import Path
from typing import Dict

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from snnb.text import printable

DPI = 120


def plain(name: str, longest: int = 32) -> str:
    """Return a name as text that matplotlib draws as it is: `$` begins no formula, and every character is in the font.

    Parameters
    ----------
    name : str
        The name.
    longest : int
        Number of characters. In a longer name, `…` replaces the middle.
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
    figure.savefig(path, dpi=DPI, metadata={"Software": None})  # so that equal plots give equal bytes


@lru_cache(maxsize=1)
def _glyphs() -> Dict[int, int]:
    glyphs: Dict[int, int] = get_font(findfont(FontProperties())).get_charmap()
    return glyphs
