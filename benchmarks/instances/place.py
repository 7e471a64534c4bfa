"""Place the best known partition of each instance and constraints by snnb and by its peers, and record the hops.

    python benchmarks/instances/place.py [INSTANCE …]

needs snnb. The peers are those of benchmarks/peers/mesh_placement.py: `curve` is the best of several curves and
orders, `force` the best of several starts of the force-directed method. All minimise hops (unicast).
results/INSTANCE/CONSTRAINTS.json gets the hops of each placement, and of the bound that no placement is below. Where
the constraints have input ports, there are no peers: the hops, graded by grade.py, are those of the placement with the
ports, and of the placement that ignores them.
"""

import json
import os
import sys
from typing import Any, Dict, List

import numpy as np
from grade import HERE, INSTANCES, Graph, grade, read_constraints, read_numbers
from hops import core_traffic, fewest_hops, hops_of
from scipy.sparse import csr_matrix
from table import RESULTS

sys.path.insert(0, str(HERE.parent / "peers"))


def main() -> None:
    """Run the command line."""
    for name in sys.argv[1:] or sorted(path.name for path in RESULTS.iterdir()):
        graph = Graph(INSTANCES / f"{name}.h5")
        for result in sorted((RESULTS / name).glob("*.json")):
            chip, core = (
                read_constraints(result.stem),
                read_numbers(result.with_suffix(".parts.xz"), 1)[:, 0],
            )
            traffic = core_traffic(graph, core)
            hops = {"bound": fewest_hops(traffic, chip)}
            if "input_ports" in chip:
                hops.update(placed_with_ports(name, core, result.stem, graph))
            else:
                hops.update(placed(traffic, core, result.stem, chip))
            document = json.loads(result.read_text(encoding="utf-8"))
            document["placements"] = {
                method: round(number, 6) for method, number in hops.items()
            }
            result.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            print(name, result.stem, json.dumps(document["placements"]), flush=True)


def placed(
    traffic: csr_matrix, core: np.ndarray, constraints: str, chip: Dict[str, Any]
) -> Dict[str, float]:
    """Return the hops of the best placement by each method; print the processor seconds."""
    import mesh_placement as peers

    from snnb.chips.read_hardware import read_hardware
    from snnb.mapping.placement import place

    hardware = read_hardware(str(HERE / "constraints" / f"{constraints}.json"))
    mesh, tile = tuple(chip["mesh"]), tuple(chip.get("tile", (1, 1)))
    times = [processor_seconds()]
    found: Dict[str, List[np.ndarray]] = {"snnb": [place(traffic, hardware, hops=True)]}
    times.append(processor_seconds())
    both = (traffic + traffic.T).tocsr()
    rank = np.bincount(core, np.arange(core.size)) / np.maximum(
        np.bincount(core), 1
    )  # mean number of the neurons
    found["curve"] = peers.along_curves(both, rank, mesh)
    times.append(processor_seconds())
    starts = [*found["curve"], *peers.spectral(both, mesh)]
    metrics = {(1, 1), tile}  # with tiles also as if there were none
    found["force"] = [
        peers.force_directed(both, start, mesh, metric)
        for start in starts
        for metric in metrics
    ]
    times.append(processor_seconds())
    print("processor seconds:", dict(zip(found, np.round(np.diff(times), 1).tolist())))
    return {
        method: min(hops_of(traffic, at, chip) for at in places)
        for method, places in found.items()
    }


def placed_with_ports(
    name: str, core: np.ndarray, constraints: str, graph: Graph
) -> Dict[str, float]:
    """Return the hops of the placement for the ports, and of the one without them."""
    from snnb.chips.read_hardware import read_hardware
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.placement import place
    from snnb.mapping.traffic import MappableNetwork, count_traffic

    chip = read_constraints(constraints)
    hardware = read_hardware(str(HERE / "constraints" / f"{constraints}.json"))
    without_ports = hardware.model_copy(update={"input_ports": None})
    with SynapseGraph.open(INSTANCES / f"{name}.h5") as opened:
        network = MappableNetwork.of(opened)
        sums = count_traffic(network, core.astype(np.int32), int(core.max()) + 1)
        input_spikes = sums.input_spikes(network.spikes)
    hops = {}
    for method, described in (("snnb", hardware), ("without_ports", without_ports)):
        positions = place(sums.matrix, described, input_spikes=input_spikes, hops=True)
        figures, _, violations = grade(graph, chip, core, positions)
        assert not violations, violations
        hops[method] = figures["hops_unicast"]
    return hops


def processor_seconds() -> float:
    """Return the processor time of this process."""
    return sum(os.times()[:2])


if __name__ == "__main__":
    main()
