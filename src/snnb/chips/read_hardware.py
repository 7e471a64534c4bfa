"""Read the description of a chip, a YAML file.

The files in `descriptions/` are part of the package and have names.
"""

from pathlib import Path
from typing import Dict, Tuple, Type

from pydantic import ValidationError

from snnb.chips import sanafe_architecture
from snnb.chips.hardware import AnyHardware, Hardware, LayerHardware
from snnb.core.errors import InputError, UsageError, advising
from snnb.io.faults import faults_in_words
from snnb.io.text import load_yaml

DESCRIPTIONS = Path(__file__).parent / "descriptions"
# Of a description: several times that of a chip with a failed core in a thousand
MAX_BYTES = 1_000_000
ADVICE = "`snnb hardware --show {}` prints a valid description"


def hardware_names() -> Tuple[str, ...]:
    """Return the names of the descriptions in the package, sorted."""
    return tuple(sorted(path.stem for path in DESCRIPTIONS.glob("*.yaml")))


def descriptions() -> Dict[str, Hardware]:
    """Return the descriptions of meshes in the package by name, in order of size."""
    chips = map(read_hardware, hardware_names())
    meshes = [chip for chip in chips if isinstance(chip, Hardware)]
    meshes.sort(key=lambda chip: (chip.cores, chip.neurons_per_core, chip.name))
    return {chip.name: chip for chip in meshes}


def layer_descriptions() -> Dict[str, LayerHardware]:
    """Return the descriptions in the package whose cores take a layer each, by name."""
    chips = map(read_hardware, hardware_names())
    return {chip.name: chip for chip in chips if isinstance(chip, LayerHardware)}


def is_file(name_or_file: str) -> bool:
    """Return whether the value of `--hardware` is the path of a file, not a name."""
    if name_or_file in hardware_names():
        return False
    return "/" in name_or_file or name_or_file.endswith((".yaml", ".yml", ".json"))


def label_of_chip(name: str, name_or_file: str) -> str:
    """Return the name of a chip as results show it.

    It is `NAME (FILE)` if `name_or_file`, the value of `--hardware`, is a file.
    """
    if is_file(name_or_file):
        return f"{name} ({Path(name_or_file).name})"
    return name


def description_file(name_or_file: str) -> Path:
    """Return the file of the description that the value of `--hardware` means."""
    if is_file(name_or_file):
        return Path(name_or_file)
    return DESCRIPTIONS / f"{name_or_file}.yaml"


def read_hardware(name_or_file: str) -> AnyHardware:
    """Read a description by its name, or from a file (see `is_file`).

    Raise `UsageError` if there is no description of that name, `InputError` if the file
    is missing or invalid.
    """
    names = ", ".join(hardware_names())
    path = description_file(name_or_file)
    if is_file(name_or_file):
        if not path.exists():
            raise InputError(
                f"{path}: no such file; give a YAML file, or one of {names}",
            )
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes; a description of hardware has at most "
                f"{MAX_BYTES:,}"
            )
    elif name_or_file not in hardware_names():
        raise UsageError(
            f"--hardware {name_or_file}: no such description; there are {names}; or "
            "give the path of a YAML file"
        )
    mesh_advice = ADVICE.format("loihi")
    with advising(mesh_advice):
        data = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError(
            f"{path} describes no hardware: it holds no keys; {mesh_advice}",
        )
    if sanafe_architecture.KEY in data:
        data = sanafe_architecture.read_architecture(data, path.name)
    kind: Type[AnyHardware] = LayerHardware if "cores" in data else Hardware
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        faults = faults_in_words(error, kind, data)
        advice = mesh_advice
        if kind is LayerHardware:
            advice = ADVICE.format("speck2f")
        raise InputError(f"{path}: {faults}; {advice}") from None
