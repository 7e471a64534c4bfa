"""What `--json` prints, as a type for each command. `make site` writes their JSON schemas to schemas/ of the site.

Importing this module imports what the types are made of, so commands do not.
"""

from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple, Union, get_type_hints

from pydantic import TypeAdapter, create_model

from snnb.datasets.definition import DatasetSpec
from snnb.io.text import JsonValue
from snnb.mapping.hardware import Hardware
from snnb.pipeline.all import CHAIN, STAGES
from snnb.results.compare import Compared, MappingCost
from snnb.results.crosscheck import Crosscheck
from snnb.results.sweep import COLUMNS
from snnb.results.sweep_chips import CHIP_COLUMNS
from snnb.results.verify import Verification
from snnb.rundir.records import Record, Timing


class Failure(Record):
    """What every command prints when it fails: the line that is also on stderr, and the exit code."""

    error: str
    exit_code: int


def _object(title: str, /, **fields: Any) -> Any:
    """Return the type of a JSON object in which all of these fields are required and no others are allowed."""
    required: Dict[str, Any] = {field: (kind, ...) for field, kind in fields.items()}
    return create_model(title, __base__=Record, **required)


def _stage(name: str) -> Any:
    """Return the type of a stage's part of the document: its parameters and details are its own."""
    kind = STAGES[name].kind
    return _object(
        f"{name.title()}Result",
        stage=Literal[name],
        directory=Path,
        ran=bool,
        reason=Optional[str],
        params=kind.params,
        metrics=Dict[str, Union[int, float, None]],
        timing=Timing,
        warnings=List[str],
        details=kind.details,
    )


def _run_of(names: List[str], **more: Any) -> Any:
    results: Any = Union[tuple(_stage(name) for name in names)]
    return _object("Run", run_dir=Path, model=str, stages=List[results], **more)


_STAGE_OF_STATUS: Any = _object(
    "StageOfStatus",
    stage=str,
    up_to_date=bool,
    **dict.fromkeys(("reason", "variant", "started_utc"), Optional[str]),
    wall_s=Optional[float],
    **dict.fromkeys(("label", "class_name"), Optional[str]),
    **dict.fromkeys(("overfull_cores", "samples"), Optional[int]),
    **dict.fromkeys(("snn_accuracy", "snn_mean_squared_error"), Optional[float]),
    differs=Dict[str, JsonValue],
)
_TEXTS: Dict[str, Any] = dict.fromkeys(("energy_of", "note"), Optional[str])
_POINT: Any = _object(
    "PointOfSweep",
    values=Dict[str, JsonValue],
    ran=bool,
    **{**dict.fromkeys((*COLUMNS, *CHIP_COLUMNS), Optional[float]), "simulation": str, "samples": int, **_TEXTS},
)
_MODEL: Any = _object(
    "ModelOfList",
    **dict.fromkeys(("name", "dataset"), str),
    input_shape=Tuple[int, int, int],
    classes=Optional[int],
    **dict.fromkeys(("neurons", "synapses"), int),
    settings=Dict[str, JsonValue],
    source=str,
)
_PLACE: Any = _object("Place", path=Path, free_bytes=int, writable=bool)
_OF_HARDWARE: Dict[str, Any] = {name: (field.annotation, field) for name, field in Hardware.model_fields.items()}
_HARDWARE: Any = create_model("HardwareOfList", __base__=Record, cores=(int, ...), **_OF_HARDWARE)
_DATASET: Any = _object("DatasetOfList", path=Optional[Path], **get_type_hints(DatasetSpec))
DOCUMENTS: Dict[str, Any] = {
    **{name: _run_of(list(STAGES)[: i + 1]) for i, name in enumerate(STAGES)},
    "run": _run_of(CHAIN, report=Optional[Path]),
    "sweep": _object("Sweep", run_dir=Path, table=Path, figure=Path, points=List[_POINT]),
    "export": _object("Export", path=Path, graph=Optional[str], edges=int, size_bytes=int, format=str),
    "status": _object(
        "Status",
        run_dir=Path,
        **dict.fromkeys(("model", "dataset"), str),
        stale_exports=List[str],
        stages=List[_STAGE_OF_STATUS],
        mappings=List[MappingCost],
    ),
    "report": _object("Report", report=Path, size_bytes=int),
    "compare": _object("Compare", figure=Optional[Path], simulations=List[Compared]),
    "crosscheck": _object("CrosscheckResult", passed=bool, simulator=str, **get_type_hints(Crosscheck)),
    "remove": _object("Remove", run_dir=Path, removed=List[str], size_bytes=int, exports=List[str]),
    "verify": _object("Verify", run_dir=Path, **get_type_hints(Verification)),
    "models": List[_MODEL],
    "datasets": List[_DATASET],
    "hardware": List[_HARDWARE],
    "doctor": _object(
        "Doctor",
        **dict.fromkeys(("python", "snnb", "numpy"), str),
        **dict.fromkeys(("tensorflow", "tf_keras", "snntoolbox"), Optional[str]),
        tensorflow_imports=str,
        gpus=List[str],
        **dict.fromkeys(("cores", "memory_bytes", "memory_available_bytes"), int),
        **dict.fromkeys(("runs", "data"), _PLACE),
    ),
}


def schema_of(command: str) -> Dict[str, JsonValue]:
    """Return the JSON schema of what a command prints with `--json` when it succeeds; see `Failure` for the rest."""
    title = f"What `snnb {command} --json` prints"
    return {"title": title, **TypeAdapter(DOCUMENTS[command]).json_schema(mode="serialization")}
