"""Read the description of a chip, a YAML file. Those in `descriptions/` are part of the package and have names."""

from pathlib import Path
from typing import Dict, Tuple, Type

from pydantic import ValidationError

from snnb.chips import sanafe_architecture
from snnb.chips.hardware import AnyHardware, Hardware, LayerHardware
from snnb.core.errors import InputError, UsageError, advising
from snnb.io.faults import faults_in_words
from snnb.io.text import load_yaml

DESCRIPTIONS = Path(__file__).parent / "descriptions"
ADVICE = "`snnb hardware --show {}` prints a valid description"


def hardware_names() -> Tuple[str, ...]:
    """Return the names of the descriptions in the package, sorted."""
    return tuple(sorted(path.stem for path in DESCRIPTIONS.glob("*.yaml")))


def descriptions() -> Dict[str, Hardware]:
    """Return the descriptions of meshes in the package by name, the fewest cores first."""
    chips = [chip for chip in map(read_hardware, hardware_names()) if isinstance(chip, Hardware)]
    return {chip.name: chip for chip in sorted(chips, key=lambda chip: (chip.cores, chip.neurons_per_core, chip.name))}


def layer_descriptions() -> Dict[str, LayerHardware]:
    """Return the descriptions in the package of chips with a core for each layer, by name."""
    chips = map(read_hardware, hardware_names())
    return {chip.name: chip for chip in chips if isinstance(chip, LayerHardware)}


def is_file(named: str) -> bool:
    """Return whether the value of `--hardware` is the path of a file, not the name of a description."""
    return named not in hardware_names() and ("/" in named or named.endswith((".yaml", ".yml", ".json")))


def shown_name(name: str, named: str) -> str:
    """Return the name of a chip as results show it, `NAME (FILE)` if `named`, the value of `--hardware`, is a file."""
    return f"{name} ({Path(named).name})" if is_file(named) else name


def description_file(named: str) -> Path:
    """Return the file of the description that the value of `--hardware` means."""
    return Path(named) if is_file(named) else DESCRIPTIONS / f"{named}.yaml"


def read_hardware(named: str) -> AnyHardware:
    """Read a description by its name, or from a file (see `is_file`).

    Raise `UsageError` if there is no description of that name, `InputError` if the file is missing or invalid.
    """
    names = hardware_names()
    path = description_file(named)
    if is_file(named) and not path.exists():
        raise InputError(f"{path}: no such file; give a YAML file, or one of {', '.join(names)}")
    if not is_file(named) and named not in names:
        raise UsageError(
            f"--hardware {named}: no such description; there are {', '.join(names)}; or give the path of a YAML file"
        )
    with advising(ADVICE.format("loihi")):
        data = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError(f"{path} describes no hardware: it holds no keys; {ADVICE.format('loihi')}")
    if sanafe_architecture.KEY in data:
        data = sanafe_architecture.described(data, path.name)
    kind: Type[AnyHardware] = LayerHardware if "cores" in data else Hardware
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        advice = ADVICE.format("speck2f" if kind is LayerHardware else "loihi")
        raise InputError(f"{path}: {faults_in_words(error, kind, data)}; {advice}") from None
