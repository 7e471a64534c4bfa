"""`snnb hardware`: the hardware descriptions that come with the package."""

from typing import List

from snnb.cli import output


def hardware() -> None:
    """List the hardware descriptions that `snnb map --hardware` knows by name."""
    console = output.current
    from snnb.mapping.hardware import descriptions

    chips = descriptions().values()
    rows: List[List[str]] = [["hardware", "mesh", "cores", "neurons", "axons", "synapses", "energy"]]
    for chip in chips:
        limits = (chip.cores, chip.neurons_per_core, chip.axons_per_core, chip.synapses_per_core)
        shown = ["any" if most is None else f"{most:,}" for most in limits]
        link = chip.energy_pj
        links = [value for value in (link.link, link.link_x, link.link_y) if value is not None]
        energy = ", ".join(f"{value:g}" for value in (link.router, *links))
        rows.append([chip.name, "×".join(map(str, chip.mesh)), *shown, energy])
    document = [{**chip.model_dump(mode="json"), "cores": chip.cores} for chip in chips]
    lines = output.table_lines(rows, right=(2, 3, 4, 5), drop=(1, 5))
    console.result([*lines, "limits: of a core; energy: pJ that a spike takes in a router, on a link"], document)
