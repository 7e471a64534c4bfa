"""The classes of `spike_counts_by_class.npz`, whose spikes are counted separately."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import List, Sequence

from snnb.core.errors import UsageError
from snnb.io.npy import load_archive
from snnb.io.text import LONGEST_NAME, printable

NAMES, SAMPLES = "class_names", "samples_by_class"
MOST_LISTED = 12


@dataclass(frozen=True)
class SampleClass:
    """A class of samples: its row in the counts, its name and the number of its simulated samples."""

    number: int
    name: str
    samples: int

    @property
    def shown(self) -> str:
        """Printable name in one line."""
        return printable(self.name).replace("\n", "\\n")[:LONGEST_NAME]


def read_classes(path: Path) -> List[SampleClass]:
    """Read the classes."""
    found = load_archive(path, names=[NAMES, SAMPLES], must=[NAMES, SAMPLES])
    pairs = zip(found[NAMES].tolist(), found[SAMPLES].tolist())
    return [SampleClass(number, name, count) for number, (name, count) in enumerate(pairs)]


def choose_class(classes: Sequence[SampleClass], wanted: str) -> SampleClass:
    """Return a class of which samples were simulated, by name, or by number."""
    found = next((one for one in classes if wanted in (one.name, one.shown)), None)
    if found is None and wanted.isdecimal() and int(wanted) < len(classes):
        found = classes[int(wanted)]
    if found is None:
        near = get_close_matches(wanted, [one.shown for one in classes], n=1)
        some = ", ".join(one.shown for one in classes[:MOST_LISTED]) + (", …" if len(classes) > MOST_LISTED else "")
        raise UsageError(
            f"--class {wanted}: there is no such class; "
            + (f"did you mean {near[0]}? " if near else "")
            + f"there are {len(classes)}, named or numbered from 0: {some}"
        )
    if found.samples < 1:
        raise UsageError(
            f"--class {found.shown}: none of the simulated samples is of this class; simulate more --samples, "
            "or others with --first"
        )
    return found
