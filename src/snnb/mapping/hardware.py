"""Hardware descriptions: mesh, limits of the cores, and energy and latency of a spike.

A description is a YAML file. Those in `descriptions/` are part of the package and have names.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Dict, Optional, Tuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import Annotated

from snnb.core.errors import InputError, UsageError
from snnb.io.text import decoded, parse_yaml

DESCRIPTIONS = Path(__file__).parent / "descriptions"
REMEDY = "docs/mapping.md shows a description with all its keys"
LARGEST_SIDE = 32_768  # of a mesh; core numbers fit in 32 bits
LARGEST_LIMIT = 2**53
Side = Annotated[int, Field(strict=True, ge=1, le=LARGEST_SIDE)]
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT)]
Figure = Annotated[float, Field(strict=True, ge=0, le=1e12)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=10_000)]


class Description(BaseModel):
    """Immutable model without further keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EnergyPj(Description):
    """Energy of a spike in pJ: per router and link of its route, and per synapse that it reaches."""

    router: Figure
    link: Figure
    synapse: Optional[Figure] = None  # None: the energy of synaptic operations is not counted


class LatencyNs(Description):
    """Latency of a spike in ns: per router and link of its route."""

    router: Figure
    link: Figure


class Hardware(Description):
    """Hardware description of a chip."""

    name: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
    mesh: Tuple[Side, Side]  # cores along x and along y
    neurons_per_core: Limit
    # Distinct neurons whose spikes the synapses of a core receive, including those of the core itself
    axons_per_core: Limit
    synapses_per_core: Optional[Limit] = None  # None: not limited
    energy_pj: EnergyPj
    latency_ns: LatencyNs
    source: Text  # source of the figures

    @property
    def cores(self) -> int:
        """Number of cores of the mesh."""
        return self.mesh[0] * self.mesh[1]


def hardware_names() -> Tuple[str, ...]:
    """Return the names of the descriptions in the package, sorted."""
    return tuple(sorted(path.stem for path in DESCRIPTIONS.glob("*.yaml")))


def descriptions() -> Dict[str, Hardware]:
    """Return the descriptions in the package by name, the fewest cores first."""
    found = [read_hardware(name)[0] for name in hardware_names()]
    return {chip.name: chip for chip in sorted(found, key=lambda chip: (chip.cores, chip.neurons_per_core, chip.name))}


def is_file(named: str) -> bool:
    """Return whether the value of `--hardware` is the path of a file, not the name of a description."""
    return named not in hardware_names() and ("/" in named or named.endswith((".yaml", ".yml")))


def read_hardware(named: str) -> Tuple[Hardware, bytes]:
    """Read a description by its name, or from a file (see `is_file`); return it and the content of the file.

    Raise `UsageError` if there is no description of that name, `InputError` if the file is missing or invalid.
    """
    names = hardware_names()
    path = Path(named) if is_file(named) else DESCRIPTIONS / f"{named}.yaml"
    if is_file(named) and not path.exists():
        raise InputError(f"{path}: no such file; give a YAML file, or one of {', '.join(names)}")
    if not is_file(named) and named not in names:
        near = get_close_matches(named, names, n=1)
        hint = f", did you mean {near[0]}? There are " if near else "; there are "
        raise UsageError(
            f"--hardware {named}: there is no such description{hint}{', '.join(names)}; or give a YAML file of your own"
        )
    content = path.read_bytes()
    data = parse_yaml(decoded(content, str(path), REMEDY), str(path), REMEDY)
    if not isinstance(data, dict):
        raise InputError(f"{path} describes no hardware: it holds no keys; {REMEDY}")
    try:
        return Hardware.model_validate(data), content
    except ValidationError as error:
        faults = ", ".join(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors())
        raise InputError(f"{path}: {faults}; {REMEDY}") from None
