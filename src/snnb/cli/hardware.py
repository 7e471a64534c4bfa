"""`snnb hardware`: the hardware descriptions that come with the package."""

from typing import List

from snnb.cli import output


def hardware() -> None:
    """List the hardware descriptions that `snnb map --hardware` knows by name."""
    from snnb.mapping.hardware import ListedHardware, descriptions
    from snnb.mapping.limits import NO_LIMIT, Limits

    chips = [ListedHardware(**dict(chip)) for chip in descriptions().values()]
    rows: List[List[str]] = [["hardware", "mesh", "cores", "neurons", "axons", "out", "synapses", "energy"]]
    for chip in chips:
        of_core = Limits.of(chip)
        limits = (chip.cores, of_core.neurons, of_core.axons, of_core.axons_out, of_core.synapses)
        shown = ["any" if limit == NO_LIMIT else f"{limit:,}" for limit in limits]
        if of_core.memory_bits != NO_LIMIT:
            shown[-1] = f"{of_core.memory_bits / 8192:g} KiB"
        link = chip.energy_pj
        links = [value for value in (link.link, link.link_x, link.link_y) if value is not None]
        energy = ", ".join(f"{value:g}" for value in (link.router, *links))
        rows.append([chip.name, "×".join(map(str, chip.mesh)), *shown, energy])
    lines = output.table_lines(rows, right=(2, 3, 4, 5, 6), drop=(1,))
    notes = [
        "limits of a core; out: pairs of one of its neurons and a core that this reaches;",
        "KiB: memory of all synapses; energy: pJ of a spike in a router, on a link",
    ]
    output.current.result([*lines, *notes], chips)
