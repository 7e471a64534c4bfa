"""Place the best known partition of each instance and constraints by snnb and by its peers, and keep the placements.

    python benchmarks/instances/place.py [INSTANCE …]

needs snnb. The peers are those of benchmarks/peers/mesh_placement.py: `curve` is the best of several curves and orders,
`force` the best of several starts of the force-directed method. All minimise hops (unicast). A placement of the same
partition that is there stays.

results/INSTANCE/CONSTRAINT/placements.xz has a line for each core, x and y by each method; placements.json the method
of the partition, and of each placement its hops, and the seconds of the processor.
"""

import json
import lzma
import os
import sys
from typing import Any, Dict, List, Tuple

import numpy as np
from grade import HERE, INSTANCES, Graph, read_constraints
from hops import METHODS, agrees, core_traffic, fewest_hops, hops_of, read_partition
from scipy.sparse import csr_matrix
from table import best_of, by_case, folder_of, read_csv

sys.path.insert(0, str(HERE.parent / "peers"))


def main() -> None:
    """Run the command line."""
    import snnb

    for (name, constraints), by_method in by_case(read_csv()).items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        method = best_of(by_method)["method"]
        folder = folder_of(name, constraints)
        graph, chip = Graph(INSTANCES / f"{folder.parent.name}.h5"), read_constraints(constraints)
        core = read_partition(graph, folder, method)
        traffic = core_traffic(graph, core)
        written = folder / "placements.json"
        if written.exists() and agrees(folder, traffic, chip):
            continue
        places, seconds = placed(traffic, core, constraints, chip)
        text = "".join(" ".join(map(str, row)) + "\n" for row in np.concatenate(places, axis=1).tolist())
        written.with_suffix(".xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
        hops = {one: round(hops_of(traffic, at, chip), 6) for one, at in zip(METHODS, places)}
        document = {"partition": method, "program": f"snnb {snnb.__version__}", "cores": traffic.shape[0]}
        document.update(spikes=round(traffic.sum(), 6), bound=round(fewest_hops(traffic, chip), 6), hops=hops)
        written.write_text(
            json.dumps({**document, "seconds": dict(zip(METHODS, seconds))}, indent=1) + "\n", encoding="utf-8"
        )
        print(name, constraints, json.dumps(document), seconds, flush=True)


def placed(
    traffic: csr_matrix, core: np.ndarray, constraints: str, chip: Dict[str, Any]
) -> Tuple[List[np.ndarray], List[float]]:
    """Return the best placement by each of `METHODS`, and its processor time."""
    import mesh_placement as peers

    from snnb.mapping.hardware import read_hardware
    from snnb.mapping.placement import place

    hardware = read_hardware(str(HERE / "constraints" / f"{constraints}.json"))
    mesh, tile = tuple(chip["mesh"]), tuple(chip.get("tile", (1, 1)))
    times = [processor_seconds()]
    found = [place(traffic, hardware, hops=True)]
    times.append(processor_seconds())
    both = (traffic + traffic.T).tocsr()
    rank = np.bincount(core, np.arange(core.size)) / np.maximum(np.bincount(core), 1)  # mean number of the neurons
    curves = peers.along_curves(both, rank, mesh)
    found.append(min(curves, key=lambda at: hops_of(traffic, at, chip)))
    times.append(processor_seconds())
    starts = [*curves, *peers.spectral(both, mesh)]
    metrics = {(1, 1), tile}  # with tiles also as if there were none
    ends = [peers.force_directed(both, start, mesh, metric) for start in starts for metric in metrics]
    found.append(min(ends, key=lambda at: hops_of(traffic, at, chip)))
    times.append(processor_seconds())
    return found, np.round(np.diff(times), 1).tolist()


def processor_seconds() -> float:
    """Return the processor time of this process."""
    return sum(os.times()[:2])


if __name__ == "__main__":
    main()
