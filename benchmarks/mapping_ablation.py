"""Leave out one mechanism of the mapping search at a time, on nine rows of the instances.

    python benchmarks/mapping_ablation.py [--rows INSTANCE:CONSTRAINTS …] [--mechanisms NAME …] [--seeds 1]

A mechanism is left out by the neutral value of its settings. The table has the lowest connectivity of the seeds, or the
hops of the best known partition for mechanisms of the placement, as ratio to those with all mechanisms, and the ratio
of the processor times. `SearchSettings` (src/snnb/mapping/partition/settings.py) states the effects.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import InputError
from snnb.graph.synapse_graph import SynapseGraph
from snnb.instances.known_instances import find_instance
from snnb.mapping.cost import Routes
from snnb.mapping.partition.partition import partition
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.placement import place
from snnb.mapping.traffic import MappableNetwork, count_traffic

INSTANCES = Path(__file__).parent / "instances"
sys.path.insert(0, str(INSTANCES))
ROWS = (
    "lenet_t100:axons_128",
    "lenet_t16:loihi_eighth_wide",
    "zambrano_mnist:axons_128_wide",
    "autoencoder_mnist:loihi_mesh",
    "mobilenet_cifar10:axons_1024",
    "mobilenet_cifar10:loihi_mesh",
    "resnet8_mlperf:loihi_mesh",
    "rueckauer_pruned:neurons_1024",
    "resnet20_cifar10:loihi_mesh",
)
PARTITION: Dict[str, Dict[str, Any]] = {
    "thin patches": {"channels_per_thin_patch": 0},
    "patches": {"patches": ()},
    "patches of half a core": {"patches": ((1, False),)},
    "same patches for layers of one shape": {"patches": ((1, False), (2, False))},
    "mixed patches": {"mixed_patches": False},
    "ample memory as no limit": {"min_ratio_of_ample_memory": 1e9},
    "estimates of memory": {"max_neurons_for_memory_estimate": 0},
    "single neurons": {"max_single_neurons": 0},
    "from scratch if sparse": {"max_weights_kept_for_scratch": 0.0},
    "several seeds of Mt-KaHyPar": {"seeds_of_mtkahypar": 1},
    "extra cores": {"extra_cores": 0.0},
    "annealing": {"max_groups_to_anneal": 0},
    "rounds of annealing": {"max_rounds": 1},
    "several annealings in a round": {"starts_annealed_per_round": 1},
    "V-cycle": {"max_pins_of_v_cycle": 0},
}
PLACEMENT: Dict[str, Dict[str, Any]] = {
    "start by eigenvectors": {"max_products_for_eigenvectors": 0},
    "rounds of placement": {"max_placement_rounds": 1},
    "annealing of placement": {"swaps_per_core": 0},
}


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measured(row: str, changes: Dict[str, Any], seeds: int, *, placing: bool) -> Tuple[float, float]:
    """Return connectivity or hops, infinite if there is no mapping, and processor seconds a seed."""
    from grade import read_numbers
    from table import result_of

    name, constraints = row.split(":")
    hardware = read_hardware(str(INSTANCES / "constraints" / f"{constraints}.json"))
    settings, found = replace(SearchSettings(), **changes), [np.inf]
    with SynapseGraph.open(find_instance(name).path) as graph:
        network = MappableNetwork.of(graph)
        if placing:
            core = read_numbers(result_of(name, constraints).with_suffix(".parts.xz"), 1)[:, 0].astype(np.int32)
            traffic = count_traffic(network, core, int(core.max()) + 1).matrix
        began = processor_seconds()
        for seed in range(seeds):
            if placing:
                places = place(traffic, hardware, seed, hops=True, settings=settings)
                found.append(float(traffic.data @ Routes.of(traffic, hardware, places).hops.sum(axis=0)))
                continue
            try:
                found.append(partition(network, hardware, seed=seed, settings=settings).best.connectivity)
            except InputError:  # no mapping within the limits
                continue
        return min(found), (processor_seconds() - began) / seeds


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=ROWS)
    parser.add_argument("--mechanisms", nargs="+", default=[*PARTITION, *PLACEMENT], choices=[*PARTITION, *PLACEMENT])
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    measured("mini_network:loihi_32", {}, 1, placing=True)  # compiles the loops
    measured("mini_network:loihi_32", {}, 1, placing=False)
    print(f"| left out | {' | '.join(given.rows)} |\n|---|{'---:|' * len(given.rows)}", flush=True)
    for mechanisms, placing in ((PARTITION, False), (PLACEMENT, True)):
        chosen = [name for name in given.mechanisms if name in mechanisms]
        whole = {row: measured(row, {}, given.seeds, placing=placing) for row in given.rows if chosen}
        for name in chosen:
            cells: List[str] = []
            for row, (value, seconds) in whole.items():
                left, time = measured(row, mechanisms[name], given.seeds, placing=placing)
                cells.append(f"{left / value if value else 1:.3f}, {time / max(seconds, 0.1):.2f} s/s")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
