"""Commands `snnb models`, `datasets`, `hardware` and `instances`."""

from importlib import import_module
from pathlib import Path
from typing import Dict, List, Optional, Union

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import beginning
from snnb.cli.tables import table_lines
from snnb.core.errors import UsageError
from snnb.core.formatting import times


def models(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="List only models with this text in their names.",
            show_default=False,
            autocompletion=beginning(lambda: import_module("snnb.architectures").names()),
        ),
    ] = "",
) -> None:
    """Run `snnb models`."""
    from snnb.architectures import find
    from snnb.architectures.registry import ModelRow, names_with

    entries = [ModelRow.of(find(model)) for model in names_with(name)]
    rows = [[m.name, m.dataset, times(m.input_shape), f"{m.neurons:,}", f"{m.synapses:,}"] for m in entries]
    head = ["model", "data set", "input", "neurons", "synapses"]
    output.current.result(table_lines([head, *rows], right=(3, 4), drop=(2, 1)), entries)


def datasets(
    data_dir: Annotated[
        Optional[Path],
        typer.Option(envvar="SNNB_DATA", help="Directory of the data sets. Default: the user's cache directory."),
    ] = None,
) -> None:
    """Run `snnb datasets`."""
    from snnb.datasets.catalogue import available, data_directory, dataset_names, find_dataset
    from snnb.datasets.definition import DatasetRow

    folder = data_dir or data_directory()
    specs = [find_dataset(name).spec for name in dataset_names()]
    entries = [DatasetRow(**dict(spec), path=available(spec.name, folder)) for spec in specs]
    rows = []
    for one in entries:
        where = "yes" if one.path is not None else "downloads" if one.download else "needs --source"
        shape = "of the model" if one.shape is None else times(one.shape)
        rows.append([one.name, shape, str(one.num_classes or ""), where, one.title])
    head = ["data set", "shape", "classes", "on this machine", "title"]
    output.current.result(table_lines([head, *rows], right=(2,), drop=(2,), shorten=(4,)), entries)


def hardware(
    show: Annotated[
        Optional[str],
        typer.Option(
            metavar="NAME",
            help="Print the YAML file of a description, to start from.",
            autocompletion=beginning(lambda: import_module("snnb.chips.read_hardware").hardware_names()),
        ),
    ] = None,
) -> None:
    """Run `snnb hardware`."""
    from snnb.chips.hardware import MEMORIES, NO_LIMIT, HardwareRow, LayerHardware, Limits
    from snnb.chips.read_hardware import (
        description_file,
        descriptions,
        hardware_names,
        layer_descriptions,
        read_hardware,
    )

    if show is not None:
        if show not in hardware_names():
            raise UsageError(f"--show {show}: no such description; there are {', '.join(hardware_names())}")
        description = read_hardware(show)
        row = description if isinstance(description, LayerHardware) else HardwareRow(**dict(description))
        output.current.result(description_file(show).read_text(encoding="utf-8").splitlines(), [row])
        return
    chips = [HardwareRow(**dict(chip)) for chip in descriptions().values()]
    rows: List[List[str]] = [["hardware", "mesh", "neurons", "axons", "out", "synapses", "energy (pJ)"]]
    for chip in chips:
        of_core = Limits.of(chip)
        limits = (of_core.neurons, of_core.axons, of_core.axons_out, of_core.synapses)
        shown = ["any" if limit == NO_LIMIT else f"{limit:,}" for limit in limits]
        if of_core.memory_bits != NO_LIMIT:
            shown[-1] = f"{of_core.memory_bits / 8192:g} KiB"
        link = chip.energy_pj
        links = [value for value in (link.link, link.link_x, link.link_y) if value is not None]
        energy = "/".join(f"{value:g}" for value in (link.router, *links))
        rows.append([chip.name, times(chip.mesh), *shown, energy])
    lines = table_lines(rows, right=(2, 3, 4, 5), drop=(1,))
    notes = [
        "one core per mesh node; limits per core; out: pairs of neuron and target core;",
        "KiB: synapse memory; energy per spike: router/link or router/x link/y link",
    ]
    others = list(layer_descriptions().values())
    of_layers = [["hardware", "cores", "a layer per core"]]
    for one in others:
        by_sizes: Dict[str, List[str]] = {}  # memories with the same numbers of entries
        for name in MEMORIES:
            sizes = sorted({getattr(core, name) for core in one.cores})
            by_sizes.setdefault("/".join(f"{size:,}" for size in sizes), []).append(name)
        texts = [f"{', '.join(names)} {sizes}" for sizes, names in by_sizes.items()]
        of_layers.append([one.name, str(len(one.cores)), "; ".join(texts)])
    document: List[Union[HardwareRow, LayerHardware]] = [*chips, *others]
    output.current.result([*lines, *notes, *table_lines(of_layers, right=(1,), shorten=(2,))], document)


def instances() -> None:
    """Run `snnb instances`."""
    from snnb.instances import known_instances

    entries = known_instances.instances()
    rows = [
        [one.name, f"{one.neurons:,}", f"{one.synapses:,}", f"{one.spikes:,.0f}", ", ".join(one.constraints)]
        for one in entries
    ]
    head = ["instance", "neurons", "synapses", "spikes", "constraints"]
    lines = table_lines([head, *rows], right=(1, 2, 3), drop=(4,))
    output.current.result([*lines, "spikes: per sample, of all neurons and inputs with targets"], entries)
