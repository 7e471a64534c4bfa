"""Write the tables of quantities of docs/mapping.md from their declarations (`make docs`).

A test fails when the page is out of date.
"""

from pathlib import Path
from typing import Dict, List, Sequence

from snnb.core.quantities import Kind, quantities_of
from snnb.mapping.quantities import (
    Baseline,
    CoreCost,
    EnergyCost,
    LayerCores,
    LayerTraffic,
    RouteCost,
    StepCost,
    TrafficCost,
)

TARGET = Path(__file__).with_name("mapping.md")
TABLES: Dict[str, Dict[str, Kind]] = {  # documents by their key in cost.json
    "quantities": {
        "cores": CoreCost,
        "traffic": TrafficCost,
        "routes": RouteCost,
        "energy": EnergyCost,
        "step": StepCost,
        "sequential": Baseline,
    },
    "quantities of layers": {"cores": LayerCores, "traffic": LayerTraffic},
}


def table(documents: Dict[str, Kind]) -> List[str]:
    """Return a table with a row for each quantity."""
    lines = ["| part, quantity | title | unit | meaning |", "|---|---|---|---|"]
    for part, kind in documents.items():
        for key, quantity in quantities_of(kind).items():
            meaning = (kind.model_fields[key].description or "").replace("|", "\\|")
            cells: Sequence[str] = (f"`{part}` `{key}`", quantity.title, quantity.stored_unit, meaning)
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def page() -> str:
    """Return the page with tables made from the declarations."""
    text = TARGET.read_text(encoding="utf-8")
    for name, documents in TABLES.items():
        begin = f"<!-- {name}: written by `make docs` -->\n"
        end = f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = "".join(
            [before, begin, "\n", *(f"{line}\n" for line in table(documents)), "\n", end, rest.split(end)[1]]
        )
    return text


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
