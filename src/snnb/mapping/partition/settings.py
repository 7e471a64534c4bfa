"""Every tuned number of the mapping search: what it bounds, and the measured reason for it."""

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class SearchSettings:
    """Settings of partition and placement, in the order of the phases (docs/mapping.md, Methods).

    An *effect* is the increase of connectivity, in the worst of the rows of benchmarks/mapping_ablation.py, if the
    mechanism is left out. *Time* marks a bound on the duration: beyond it the mechanism costs more than it gains.
    """

    # Coarsening: groups
    max_channels_per_group: int = 64  # of a position; larger groups leave cores partly empty
    channels_per_thin_patch: int = 4  # where channels share no sources; 0: no such patches
    side_of_thin_patch: int = 4  # positions

    # Coarsening: patches, where sources share lists of synapses
    patch_sides: Tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # positions; the full side too
    # Fractions of a core that patches fill, and whether layers of one shape have the same
    patches: Tuple[Tuple[int, bool], ...] = ((1, False), (2, False), (2, True))
    mixed_patches: bool = True  # chunks of channels with different patches, poolings in the patches that they read
    min_ratio_of_ample_memory: float = 4.0  # cores for the neurons / cores for the synapses: then memory is no limit
    max_neurons_for_memory_estimate: int = 20_000  # time; larger networks: only if no mapping was found

    # Coarsening: growth of cores in graphs of listed edges
    max_targets_that_attract: int = 1 << 14  # of a source, time: more of them are on many cores anyway
    max_refusals: int = 64  # neurons in a row that exceed a limit; then a core is full, time

    # Coarsening: none, single neurons
    max_neurons_without_groups: int = 3_000  # time: the method auto partitions fewer neurons without groups
    max_single_neurons: int = 1_000_000  # memory
    max_single_pins: int = 4_000_000  # memory
    max_weights_kept_for_scratch: float = 0.25  # share; below, neurons share few sources, and groups are poor

    # Initial partitions
    max_groups_with_sequential_start: int = 3_000  # time
    seeds_of_mtkahypar: int = 2
    max_nodes_of_quality: int = 5_000  # for Mt-KaHyPar's preset `quality`, time
    contraction_limit_of_large: int = 10  # nodes for a block, of larger hypergraphs: `quality` has 160
    max_blocks_of_quality: int = 1024  # for `quality`; more blocks take the preset `large_k`, time
    extra_cores: float = 0.05  # share above the sequential partition's: fewer limits bind
    extra_cores_for_axons: float = 0.10  # the same if axons, not neurons or synapses, determine the cores
    max_pins: int = 300_000  # of all jobs of Mt-KaHyPar together, time
    max_pins_after_groups: int = 60_000  # of single neurons if groups were partitioned, time
    max_exact_pins: int = 500_000  # a hyperedge for each source; beyond, one for each set of many sources, time
    min_sources_of_set_hyperedge: int = 8

    # Refinement: descent
    max_passes: int = 30
    min_gain_of_pass: float = 1e-4

    # Refinement: annealing
    max_groups_to_anneal: int = 20_000  # time; more are annealed only if no start keeps the limits
    max_cost_ratio_to_anneal: float = 1.2  # of a start to the best known cost, time
    starts_annealed_per_round: int = 2
    max_rounds: int = 4
    trials_per_group: int = 2_000
    max_trials: int = 10_000_000  # of the annealings from one start, time
    max_visits: int = 1_000_000_000  # of neighbouring groups in these trials, time
    max_visits_of_patches: int = 300_000_000  # the same for patches, and before single neurons start from scratch
    visits_of_trial: int = 50  # fixed cost of a trial, in visits
    epochs: int = 4  # the penalty of exceeded limits is ten times larger in each
    first_penalty: float = 10.0  # mean costs of a core
    hottest: float = 1.0  # temperature, mean costs of a group
    coldest: float = 0.05

    # Refinement: V-cycle of Mt-KaHyPar on single neurons
    max_pins_of_v_cycle: int = 4_000_000  # time
    max_metric_ratio: float = 1.05  # λ − 1 metric of the hypergraph / cost, beyond which a V-cycle improves little
    max_cost_ratio_of_poor: float = 0.97  # of a V-cycle; better ones show that the start was poor: from scratch
    max_pins_from_scratch: int = 1_000_000  # time

    # Placement
    max_products_for_eigenvectors: float = 2e9  # time
    max_placement_rounds: int = 8
    temperature_steps: int = 120
    swaps_per_core: int = 20_000  # tried in a round
    max_swaps: float = 2e7  # tried in all rounds, time
    max_partners: float = 1e9  # that swaps look at, time
    hottest_swap: float = 3.0  # temperature, mean increases by a swap of neighbours
    coldest_swap: float = 0.02
    probes: int = 2_000  # swaps that measure the mean increase
