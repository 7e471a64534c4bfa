"""Write src/snnb/run_keywords.py from the options; a test fails when the file is out of date. Run by `make docs`."""

from pathlib import Path
from typing import Any, List, Sequence, Type

from typing_extensions import Annotated, Literal, get_args, get_origin

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.core.options import Options, own_flags
from snnb.formats.export_options import ExportOptions
from snnb.model_files.kinds import NirSettings
from snnb.simulation.settings import SimulationSettings
from snnb.stages.all import STAGES

TARGET = Path(__file__).resolve().parents[1] / "src" / "snnb" / "run_keywords.py"
HEAD = '''"""Options as keywords of `snnb.Run` and `snnb.api`, for type checkers; written by `make docs`.

Bounds, defaults and help are those of the options' own fields; `help(snnb.Run.train)`
and `help(snnb.simulate)` show them.
"""

from pathlib import Path
from typing import Literal, Mapping, Optional, Sequence, Tuple, TypedDict, Union
'''


def spelling(annotation: Any) -> str:
    """Return the type of a field as Python source."""
    parts, origin = get_args(annotation), get_origin(annotation)
    if origin is Annotated:
        return spelling(parts[0])
    if type(None) in parts:
        return f"Optional[{' | '.join(spelling(part) for part in parts if part is not type(None))}]"
    if str(annotation).startswith("typing.Literal") or origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]".replace("'", '"')
    if origin is dict:
        return "Mapping[str, object]"
    if origin is tuple and parts[-1] is Ellipsis:  # one of them can be given alone
        item = spelling(parts[0])
        alone = item[len("Union[") : -1] if item.startswith("Union[") else item
        return f"Union[{alone}, Sequence[{item}]]"
    if origin is tuple:
        return f"Tuple[{', '.join(map(spelling, parts))}]"
    return "Union[str, Path]" if annotation is Path else str(annotation.__name__)


def typed_dict(
    name: str, what: str, kind: Type[Options], without: Sequence[str] = ()
) -> List[str]:
    """Return the lines of one class."""
    fields = [
        f"    {field}: {spelling(kind.model_fields[field].annotation)}"
        for field in own_flags(kind)
        if field not in without
    ]
    return [
        "",
        "",
        f"class {name}Keywords(TypedDict, total=False):",
        f'    """Options of {what}."""',
        "",
        *fields,
    ]


def module() -> str:
    """Return the whole file."""
    lines = [HEAD.rstrip()]
    for name, stage in STAGES.items():
        lines += typed_dict(name.capitalize(), f"`snnb {name}`", stage.params)
    lines += typed_dict("Export", "`snnb export`", ExportOptions)
    lines += typed_dict("Nir", "`snnb.read`", NirSettings)
    lines += typed_dict("Conversion", "`snnb.convert`", ConversionSettings)
    lines += typed_dict(
        "Simulation", "`snnb.simulate`", SimulationSettings, ["samples", "first"]
    )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    TARGET.write_text(module(), encoding="utf-8")
