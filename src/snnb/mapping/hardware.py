"""What a chip is to a mapping: a mesh of cores, what each holds, and what a spike costs on its way.

A description is a YAML file; those in `descriptions/` come with the package and are known by their names.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import Annotated

from snnb.core.errors import InputError, UsageError
from snnb.io.text import decoded, parse_yaml

DESCRIPTIONS = Path(__file__).parent / "descriptions"
ENDING = ".yaml"
REMEDY = "docs/mapping.md shows a description with all its keys"
LARGEST_SIDE = 32_768  # of a mesh: so that core numbers fit in 32 bits
LARGEST_LIMIT = 2**53
Side = Annotated[int, Field(strict=True, ge=1, le=LARGEST_SIDE)]
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT)]
Figure = Annotated[float, Field(strict=True, ge=0, le=1e12)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=10_000)]


class Description(BaseModel):
    """Closed and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EnergyPj(Description):
    """Energy of a spike, in pJ: in each router and on each link of its way, and for each synapse that it reaches.

    Attributes
    ----------
    router, link : float
    synapse : float or None
        None where the energy of synaptic operations is not counted.
    """

    router: Figure
    link: Figure
    synapse: Optional[Figure] = None


class LatencyNs(Description):
    """Time that a spike takes, in ns: in each router and on each link of its way."""

    router: Figure
    link: Figure


class Hardware(Description):
    """A chip.

    Attributes
    ----------
    name : str
    mesh : tuple of int
        Cores along x and along y.
    neurons_per_core : int
    axons_per_core : int
        Distinct neurons whose spikes the synapses of a core receive, those of the core itself included.
    synapses_per_core : int or None
        None where their number is not limited.
    energy_pj : EnergyPj
    latency_ns : LatencyNs
    source : str
        Where the figures are from.
    """

    name: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
    mesh: Tuple[Side, Side]
    neurons_per_core: Limit
    axons_per_core: Limit
    synapses_per_core: Optional[Limit] = None
    energy_pj: EnergyPj
    latency_ns: LatencyNs
    source: Text

    @property
    def cores(self) -> int:
        """Number of cores of the mesh."""
        return self.mesh[0] * self.mesh[1]


def hardware_names() -> Tuple[str, ...]:
    """Names of the descriptions that come with the package, sorted."""
    return tuple(sorted(path.stem for path in DESCRIPTIONS.glob(f"*{ENDING}")))


def descriptions() -> Dict[str, Hardware]:
    """Read the descriptions that come with the package, by name, the fewest cores first."""
    found = [read_hardware(name)[0] for name in hardware_names()]
    return {chip.name: chip for chip in sorted(found, key=lambda chip: (chip.cores, chip.neurons_per_core, chip.name))}


def is_file(named: str) -> bool:
    """Whether what stands for a hardware is the path of a file, not the name of a description."""
    return named not in hardware_names() and ("/" in named or named.endswith((".yaml", ".yml")))


def read_hardware(named: str) -> Tuple[Hardware, bytes]:
    """Read a description of the package by its name, or a file by its path.

    Parameters
    ----------
    named : str
        A name of `hardware_names`, or a path that has a `/` or ends with `.yaml` or `.yml`.

    Returns
    -------
    hardware : Hardware
    content : bytes
        Of the file, as it was read.

    Raises
    ------
    UsageError
        There is no description of that name.
    InputError
        The file is missing, no YAML, or not such a description; the key is named.
    """
    if is_file(named):
        path = Path(named)
        if not path.exists():
            raise InputError(f"{path}: no such file; give a YAML file, or one of {', '.join(hardware_names())}")
    else:
        path = DESCRIPTIONS / f"{_known(named)}{ENDING}"
    content = path.read_bytes()
    return parse_hardware(decoded(content, str(path), REMEDY), str(path)), content


def parse_hardware(text: str, where: str) -> Hardware:
    """Read a description from the text that was found in `where`; `InputError` names the key that is wrong."""
    data = parse_yaml(text, where, REMEDY)
    if not isinstance(data, dict):
        raise InputError(f"{where} describes no hardware: it holds no keys; {REMEDY}")
    try:
        return Hardware.model_validate(data)
    except ValidationError as error:
        found = sorted(error.errors(), key=lambda wrong: wrong["type"] != "extra_forbidden")  # a misspelt key first
        raise InputError(f"{where}: {_wrong(found[0])}; {REMEDY}") from None


def _wrong(first: Mapping[str, object]) -> str:
    """Say what is wrong, by its key."""
    place = first["loc"]
    parts = [str(part)[:60] for part in place] if isinstance(place, tuple) else []
    key, kind, value = ".".join(parts), first["type"], repr(first.get("input"))[:60]
    if kind == "extra_forbidden":
        model = {"energy_pj": EnergyPj, "latency_ns": LatencyNs}.get(parts[0], Hardware)
        near = get_close_matches(parts[-1], model.model_fields, n=1, cutoff=0.52)
        hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(model.model_fields)}"
        return f"there is no key {key}; {hint}"
    if (key == "mesh" and kind != "missing") or (parts[:1] == ["mesh"] and kind == "missing" and len(parts) > 1):
        return f"mesh: {value}: give the cores along x and along y, as in [4, 4]"
    if kind == "missing":
        return f"the key {key} is missing; add it"
    return f"{key}: {value}: {str(first['msg'])[:1].lower()}{str(first['msg'])[1:120]}"


def _known(name: str) -> str:
    names = hardware_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        raise UsageError(
            f"--hardware {name}: there is no such description"
            + (f", did you mean {near[0]}? There are " if near else "; there are ")
            + f"{', '.join(names)}; or give a YAML file of your own"
        )
    return name
