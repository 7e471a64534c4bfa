"""Write the tables of quantities in the documentation from their declarations (`make docs`).

A table stands between the lines `<!-- quantities: NAME -->` and `<!-- end -->`, where
NAME is the name of a document. A test fails when a table is out of date.
"""

import re
from pathlib import Path
from typing import Dict, List, Type

from pydantic import BaseModel

from snnb.core.quantities import Quantity, documents_of
from snnb.mapping.files import MappingCost
from snnb.mapping.layers.layer_cost import LayerCost
from snnb.simulation.statistics import SimulationStatistics

DOCS = Path(__file__).parent
PAGES: Dict[str, List[Type[BaseModel]]] = {
    "mapping-files.md": [MappingCost, LayerCost],
    "simulation.md": [SimulationStatistics],
}
HEAD = ["| key | quantity | unit | definition |", "|---|---|---|---|"]


def rows_of(kind: Type[BaseModel], path: str = "") -> List[str]:
    """Return a row for each quantity of a document, with its place in the file: `traffic.connectivity`."""
    rows = []
    for name, field in kind.model_fields.items():
        quantities = [item for item in field.metadata if isinstance(item, Quantity)]
        for quantity in quantities:
            cells = (
                f"`{path}{name}`",
                quantity.title,
                quantity.stored_unit,
                field.description or "",
            )
            rows.append(
                " | ".join(
                    ["", *(cell.replace("|", r"\|") for cell in cells), ""]
                ).strip()
            )
        for document in documents_of(field.annotation):
            rows += rows_of(document, f"{path}{name}.")
    return rows


def with_tables(text: str, kinds: List[Type[BaseModel]]) -> str:
    """Return a page with the tables as they are declared; raise `ValueError` if one has no place."""
    for kind in kinds:
        begin = f"<!-- quantities: {kind.__name__} -->"
        block = "\n".join([begin, "", *HEAD, *rows_of(kind), "", "<!-- end -->"])
        place = re.compile(f"{begin}.*?<!-- end -->", re.DOTALL)
        matches = place.findall(text)
        if len(matches) != 1:
            raise ValueError(f"{begin} stands {len(matches)} times in the page")
        text = text.replace(matches[0], block)
    return text


def main() -> None:
    """Write the tables of all pages."""
    for name, kinds in PAGES.items():
        page = DOCS / name
        page.write_text(
            with_tables(page.read_text(encoding="utf-8"), kinds), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
