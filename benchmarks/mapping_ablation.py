"""Leave out one mechanism of the mapping search at a time, on nine rows of the instances.

    python benchmarks/mapping_ablation.py [--rows INSTANCE:CONSTRAINTS …] [--changes NAME …] [--seeds 1]

A mechanism is left out by the neutral value of its settings. `--changes` also takes other values of single settings,
such as `penalty=1.0` (see `OTHER_VALUES`). The table has the lowest connectivity of the seeds, or the hops of the best
known partition for mechanisms of the placement, as ratio to those without a change, and the ratio of the processor
times. `SearchSettings` (src/snnb/mapping/partition/settings.py) states the effects.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import InputError
from snnb.graph.synapse_graph import SynapseGraph
from snnb.instances.known_instances import find_instance
from snnb.mapping.partition.partition import partition
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.placement import place
from snnb.mapping.routes import find_routes
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
OTHER_VALUES: Tuple[Dict[str, Sequence[Any]], Dict[str, Sequence[Any]]] = (
    {
        "max_channels_per_group": (16, 256),
        "side_of_thin_patch": (2, 8),
        "patch_sides": ((1, 2, 4, 8, 16),),
        "max_neurons_without_groups": (0, 10_000),
        "max_nodes_of_quality": (0, 100_000),
        "contraction_limit_of_large": (160,),
        "max_pins": (100_000, 900_000),
        "max_pins_after_groups": (0, 300_000),
        "max_exact_pins": (0,),
        "min_sources_of_set_hyperedge": (2, 32),
        "max_passes": (1, 300),
        "min_gain_of_pass": (0.0, 1e-2),
        "max_cost_ratio_to_anneal": (1.0, 1e9),
        "trials_per_group": (1_000, 4_000),
        "max_trials": (3_000_000, 100_000_000),
        "max_visits": (300_000_000, 3_000_000_000),
        "max_visits_of_patches": (100_000_000, 1_000_000_000),
        "visits_of_trial": (0, 200),
        "penalty": (1.0, 100.0),
        "hottest": (0.3, 3.0),
        "coldest": (0.02, 0.2),
        "max_increase_to_exchange": (0.0, 1e9),
        "max_metric_ratio": (1.0, 1e9),
        "max_exact_pins_of_v_cycle": (0,),
    },
    {
        "spare_share_of_side": (0.0, 0.5),
        "min_spare_positions": (0, 4),
        "min_cores_for_eigenvectors": (1_000,),
        "eigenvector_tolerance": (1e-2, 1e-6),
        "max_rounds_of_cores": (100_000,),
        "temperature_steps": (60, 240),
        "max_swaps": (1e7, 1e8),
        "max_partners": (1e8, 1e10),
        "hottest_swap": (1.0, 10.0),
        "coldest_swap": (0.005, 0.1),
        "probes": (200, 20_000),
        "exponent_of_reach": (1.0, 3.0),
        "reach_of_descent": (1, 4),
    },
)
CHANGES_OF_PARTITION, CHANGES_OF_PLACEMENT = (
    {
        **mechanisms,
        **{
            f"{name}={value}": {name: value}
            for name, values in others.items()
            for value in values
        },
    }
    for mechanisms, others in zip((PARTITION, PLACEMENT), OTHER_VALUES)
)


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measured(
    row: str, changes: Dict[str, Any], seeds: int, *, placing: bool
) -> Tuple[float, float]:
    """Return connectivity or hops, infinite if there is no mapping, and processor seconds a seed."""
    from grade import read_numbers
    from table import result_of

    name, constraints = row.split(":")
    hardware = read_hardware(str(INSTANCES / "constraints" / f"{constraints}.json"))
    settings, found = replace(SearchSettings(), **changes), [np.inf]
    with SynapseGraph.open(find_instance(name).path) as graph:
        network = MappableNetwork.of(graph)
        if placing:
            core = read_numbers(
                result_of(name, constraints).with_suffix(".parts.xz"), 1
            )[:, 0].astype(np.int32)
            traffic = count_traffic(network, core, int(core.max()) + 1).matrix
        began = processor_seconds()
        for seed in range(seeds):
            if placing:
                places = place(traffic, hardware, seed, hops=True, settings=settings)
                no_input = np.zeros(traffic.shape[0])
                routes = find_routes(traffic, no_input, hardware, places)
                found.append(float(routes.spikes @ routes.hops.sum(axis=0)))
                continue
            try:
                found.append(
                    partition(
                        network, hardware, seed=seed, settings=settings
                    ).best.connectivity
                )
            except InputError:  # no mapping within the limits
                continue
        return min(found), (processor_seconds() - began) / seeds


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", default=ROWS)
    parser.add_argument(
        "--changes",
        nargs="+",
        default=[*PARTITION, *PLACEMENT],
        choices=[*CHANGES_OF_PARTITION, *CHANGES_OF_PLACEMENT],
        metavar="NAME",
    )
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    measured("mini_network:loihi_32", {}, 1, placing=True)  # compiles the loops
    measured("mini_network:loihi_32", {}, 1, placing=False)
    print(
        f"| change | {' | '.join(given.rows)} |\n|---|{'---:|' * len(given.rows)}",
        flush=True,
    )
    for changes, placing in (
        (CHANGES_OF_PARTITION, False),
        (CHANGES_OF_PLACEMENT, True),
    ):
        chosen = [name for name in given.changes if name in changes]
        whole = {
            row: measured(row, {}, given.seeds, placing=placing)
            for row in given.rows
            if chosen
        }
        for name in chosen:
            cells: List[str] = []
            for row, (value, seconds) in whole.items():
                left, time = measured(row, changes[name], given.seeds, placing=placing)
                cells.append(
                    f"{left / value if value else 1:.3f}, {time / max(seconds, 0.1):.2f} s/s"
                )
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
