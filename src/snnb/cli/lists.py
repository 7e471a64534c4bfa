"""Commands `snnb models`, `datasets`, `hardware` and `instances`."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Union

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import complete_from
from snnb.cli.tables import table_lines
from snnb.core.errors import UsageError
from snnb.core.formatting import format_shape

if TYPE_CHECKING:
    from snnb.chips.hardware import HardwareRow, LayerHardware

BITS_PER_KIB = 8192


def models(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="List only models with this text in their names.",
            show_default=False,
            autocompletion=complete_from(
                lambda: import_module("snnb.architectures").names(),
            ),
        ),
    ] = "",
) -> None:
    """Run `snnb models`."""
    from snnb.architectures import find
    from snnb.architectures.registry import ModelRow, names_with

    entries = [ModelRow.of(find(model)) for model in names_with(name)]
    rows = [["model", "data set", "input", "neurons", "synapses"]]
    for entry in entries:
        sizes = [f"{entry.neurons:,}", f"{entry.synapses:,}"]
        rows.append(
            [entry.name, entry.dataset, format_shape(entry.input_shape), *sizes]
        )
    output.current.result(table_lines(rows, right=(3, 4), drop=(2, 1)), entries)


def datasets(
    data_dir: Annotated[
        Optional[Path],
        typer.Option(
            envvar="SNNB_DATA",
            help="Directory of the data sets. Default: the user's cache directory.",
        ),
    ] = None,
) -> None:
    """Run `snnb datasets`."""
    from snnb.datasets.catalogue import (
        available,
        data_directory,
        dataset_names,
        find_dataset,
    )
    from snnb.datasets.definition import DatasetRow

    folder = data_dir or data_directory()
    entries = []
    for name in dataset_names():
        spec = find_dataset(name).spec
        entries.append(DatasetRow(**dict(spec), path=available(name, folder)))
    rows = [["data set", "shape", "classes", "on this machine", "title"]]
    for entry in entries:
        availability = "downloads" if entry.download else "needs --source"
        if entry.path is not None:
            availability = "yes"
        shape = "of the model" if entry.shape is None else format_shape(entry.shape)
        classes = str(entry.num_classes or "")
        rows.append([entry.name, shape, classes, availability, entry.title])
    lines = table_lines(rows, right=(2,), drop=(2,), shorten=(4,))
    output.current.result(lines, entries)


def hardware(
    show: Annotated[
        Optional[str],
        typer.Option(
            metavar="NAME",
            help="Print the YAML file of a description, to start from.",
            autocompletion=complete_from(
                lambda: import_module("snnb.chips.read_hardware").hardware_names(),
            ),
        ),
    ] = None,
) -> None:
    """Run `snnb hardware`."""
    from snnb.chips.hardware import HardwareRow, LayerHardware
    from snnb.chips.read_hardware import (
        description_file,
        descriptions,
        hardware_names,
        layer_descriptions,
        read_hardware,
    )

    if show is not None:
        if show not in hardware_names():
            names = ", ".join(hardware_names())
            raise UsageError(f"--show {show}: no such description; there are {names}")
        chip = read_hardware(show)
        if not isinstance(chip, LayerHardware):
            chip = HardwareRow(**dict(chip))
        text = description_file(show).read_text(encoding="utf-8")
        output.current.result(text.splitlines(), [chip])
        return
    chips = [HardwareRow(**dict(chip)) for chip in descriptions().values()]
    layer_chips = list(layer_descriptions().values())
    lines = [
        *_chip_lines(chips),
        "one core per mesh node; limits per core; out: pairs of neuron and target "
        "core;",
        "KiB: synapse memory; energy per spike: router/link or router/x link/y link",
        *(chip.figures_text for chip in chips if chip.figures_text is not None),
        *_layer_chip_lines(layer_chips),
    ]
    document: List[Union[HardwareRow, LayerHardware]] = [*chips, *layer_chips]
    output.current.result(lines, document)


def _chip_lines(chips: "Sequence[HardwareRow]") -> List[str]:
    """Return a table of chips with neurons on the cores of a mesh."""
    from snnb.chips.hardware import NO_LIMIT, Limits

    rows = [["hardware", "mesh", "neurons", "axons", "out", "synapses", "energy (pJ)"]]
    for chip in chips:
        core = Limits.of(chip)
        cells = []
        for limit in (core.neurons, core.axons, core.axons_out, core.synapses):
            cells.append("any" if limit == NO_LIMIT else f"{limit:,}")
        if core.memory_bits != NO_LIMIT:
            cells[-1] = f"{core.memory_bits / BITS_PER_KIB:g} KiB"
        energy = chip.energy_pj
        energies = [energy.router, energy.link, energy.link_x, energy.link_y]
        energy_text = "/".join(f"{value:g}" for value in energies if value is not None)
        rows.append([chip.name, format_shape(chip.mesh), *cells, energy_text])
    return table_lines(rows, right=(2, 3, 4, 5), drop=(1,))


def _layer_chip_lines(chips: "Sequence[LayerHardware]") -> List[str]:
    """Return a table of chips with a core for each layer."""
    from snnb.chips.hardware import MEMORIES

    rows = [["hardware", "cores", "a layer per core"]]
    for chip in chips:
        # Memories by their numbers of entries in all cores
        names_by_sizes: Dict[str, List[str]] = {}
        for name in MEMORIES:
            sizes = sorted({getattr(core, name) for core in chip.cores})
            text = "/".join(f"{size:,}" for size in sizes)
            names_by_sizes.setdefault(text, []).append(name)
        memories = []
        for text, names in names_by_sizes.items():
            memories.append(f"{', '.join(names)} {text}")
        rows.append([chip.name, str(len(chip.cores)), "; ".join(memories)])
    return table_lines(rows, right=(1,), shorten=(2,))


def instances() -> None:
    """Run `snnb instances`."""
    from snnb.instances import known_instances

    entries = known_instances.instances()
    rows = [["instance", "neurons", "synapses", "spikes", "constraints"]]
    for entry in entries:
        sizes = [f"{entry.neurons:,}", f"{entry.synapses:,}", f"{entry.spikes:,.0f}"]
        rows.append([entry.name, *sizes, ", ".join(entry.constraints)])
    lines = table_lines(rows, right=(1, 2, 3), drop=(4,))
    lines.append("spikes: per sample, of all neurons and inputs with targets")
    output.current.result(lines, entries)
