"""Every tuned number of the mapping search: what it bounds, and the measured reason for it."""

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class SearchSettings:
    """Settings of partition and placement, in the order of the phases (docs/mapping.md, Methods).

    An *effect* is the increase of connectivity (for the placement: hops) if the mechanism is left out, in the row of
    the instances where it was largest; benchmarks/mapping_ablation.py measures it. Settings without an effect bound
    time or memory.
    """

    # Coarsening: groups
    max_channels_per_group: int = 64  # of a position; larger groups leave cores partly empty
    channels_per_thin_patch: int = 4  # where channels share no sources; effect 1.3 % (lenet_t100, axons_128)
    side_of_thin_patch: int = 4  # positions

    # Coarsening: patches, where sources share lists of synapses
    patch_sides: Tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # positions; the full side too
    # Fractions of a core that patches fill: effect of the halves 23 % (resnet8_mlperf, loihi_mesh); and whether layers
    # of one shape have the same patches: effect 2.8 % (resnet20_cifar10, loihi_mesh)
    patches: Tuple[Tuple[int, bool], ...] = ((1, False), (2, False), (2, True))
    mixed_patches: bool = True  # chunks differ, patches include poolings; effect 13.6 % (lenet_t16, loihi_eighth_wide)
    # Cores for the neurons / cores for the synapses, above which memory is ample; effect 16 % (mobilenet_cifar10,
    # loihi_mesh)
    min_ratio_of_ample_memory: float = 4.0
    max_neurons_for_memory_estimate: int = 20_000  # time; effect 1.5 % (autoencoder_mnist, loihi_mesh)

    # Coarsening: growth of cores in graphs of listed edges
    max_targets_that_attract: int = 1 << 14  # of a source, time: more of them are on many cores anyway
    max_refusals: int = 64  # neurons in a row that exceed a limit; then a core is full, time

    # Coarsening: none, single neurons
    max_neurons_without_groups: int = 3_000  # time: the method auto partitions fewer neurons without groups
    max_single_neurons: int = 1_000_000  # memory
    max_single_pins: int = 4_000_000  # memory
    max_synapses_per_pin: int = 64  # time: pins are not counted of more; sources at a position share their pins
    max_listed_synapses_per_pin: int = 2  # the same for listed edges, of which only parallel ones share pins
    max_weights_kept_for_scratch: float = 0.25  # share; below, neurons share few sources, and groups are poor

    # Initial partitions
    seeds_of_mtkahypar: int = 2  # effect 1.2 % (lenet_t100, axons_128)
    max_nodes_of_quality: int = 5_000  # for Mt-KaHyPar's preset `quality`, time
    contraction_limit_of_large: int = 10  # nodes for a block, of larger hypergraphs: `quality` has 160
    max_blocks_of_quality: int = 1024  # for `quality`; more blocks take the preset `large_k`, time
    extra_cores: float = 0.05  # share above the sequential partition's; effect 13.9 % (lenet_t100, axons_128)
    max_pins: int = 300_000  # of all jobs of Mt-KaHyPar together, time
    max_pins_after_groups: int = 60_000  # of single neurons if groups were partitioned, time
    max_exact_pins: int = 500_000  # a hyperedge for each source; beyond, one for each set of many sources, time
    min_sources_of_set_hyperedge: int = 8

    # Refinement: descent
    max_passes: int = 30
    min_gain_of_pass: float = 1e-4

    # Refinement: annealing
    max_groups_to_anneal: int = 20_000  # time; effect of annealing 2.1 % (lenet_t100, axons_128)
    max_cost_ratio_to_anneal: float = 1.2  # of a start to the best known cost, time
    starts_annealed_per_round: int = 2  # effect 1.5 % (lenet_t100, axons_128)
    max_rounds: int = 4  # effect 1.1 % (lenet_t100, axons_128, seed 0)
    trials_per_group: int = 2_000
    max_trials: int = 10_000_000  # of the annealings from one start, time
    max_visits: int = 1_000_000_000  # of neighbouring groups in these trials, time
    max_visits_of_patches: int = 300_000_000  # the same for patches, and before single neurons start from scratch
    visits_of_trial: int = 50  # fixed cost of a trial, in visits
    penalty: float = 10.0  # of exceeded limits, mean costs of a core
    hottest: float = 1.0  # temperature, mean costs of a group
    coldest: float = 0.05
    max_increase_to_exchange: float = 8.0  # of the cost by a move, temperatures; above, no exchange is tried

    # Refinement: V-cycle of Mt-KaHyPar on single neurons
    max_pins_of_v_cycle: int = 4_000_000  # time; effect 1.5 % (autoencoder_mnist, loihi_mesh)
    max_metric_ratio: float = 1.05  # λ − 1 metric of the hypergraph / cost, beyond which a V-cycle improves little
    max_exact_pins_of_v_cycle: int = 1_000_000  # as `max_exact_pins`, if the metric of the smaller hypergraph is wrong

    # Placement
    spare_share_of_side: float = 1 / 8  # of the sides of the part of the mesh in use
    min_spare_positions: int = 2  # along each side
    min_cores_for_eigenvectors: int = 8
    max_products_for_eigenvectors: float = 2e9  # time; effect 0.2 % of the hops, 0.8 % without any other start
    eigenvector_tolerance: float = 1e-4
    max_rounds_of_cores: int = 1_000  # rounds × cores, time
    max_placement_rounds: int = 8  # effect 1.9 % (mobilenet_cifar10, loihi_mesh)
    temperature_steps: int = 120
    swaps_per_core: int = 20_000  # tried in a round; effect of annealing 18.6 % (resnet20_cifar10, loihi_mesh)
    max_swaps: float = 2e7  # tried in all rounds, time
    max_partners: float = 1e9  # that swaps look at, time
    hottest_swap: float = 3.0  # temperature, mean increases by a swap of neighbours
    coldest_swap: float = 0.02
    exponent_of_reach: float = 2.0  # of the share of steps left: distance of swaps, sides of the mesh
    reach_of_descent: int = 2  # positions along each axis
    probes: int = 2_000  # swaps that measure the mean increase
