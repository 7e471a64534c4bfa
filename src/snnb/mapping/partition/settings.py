"""Tuned numbers of the mapping search: what they bound, unit, and measured effect."""

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class SearchSettings:
    """Settings of partition and placement, in the order of the phases.

    The phases are those of docs/mapping-methods.md, Methods.

    An *effect* is the increase of connectivity (for the placement: hops) if the
    mechanism is left out, in the row of the instances where it was largest. Otherwise a
    comment states the changes by other values: of the connectivity (of the hops), and
    of the processor time if that is its purpose. Rows are lenet_t100 on axons_128
    unless named; with "no effect" a change is at most 0.1 %. Bounds without a number
    were not reached in the rows that were measured. benchmarks/mapping_ablation.py
    measures them.
    """

    # Coarsening: groups
    max_channels_per_group: int = 64  # of a position; 16: +4.9 %, 256: no effect
    channels_per_thin_patch: int = 4  # where channels share no sources; effect 1.3 %
    side_of_thin_patch: int = 4  # positions; 2: +5.1 %, 8: +0.5 %

    # Coarsening: patches, where sources share lists of synapses
    # Positions; the full side too. Without 3, 6, 12, 24 and 32: no effect
    # (autoencoder_mnist, loihi_mesh)
    patch_sides: Tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
    # Fractions of a core that patches fill: effect of the halves 23 % (resnet8_mlperf,
    # loihi_mesh); and whether layers of one shape have the same patches: effect 2.8 %
    # (resnet20_cifar10, loihi_mesh)
    patches: Tuple[Tuple[int, bool], ...] = ((1, False), (2, False), (2, True))
    # Chunks differ, patches include poolings; effect 24 % (lenet_t100, loihi_eighth)
    mixed_patches: bool = True
    # Cores for the neurons / cores for the synapses, above which memory is ample;
    # effect 16 % (mobilenet_cifar10, loihi_mesh)
    min_ratio_of_ample_memory: float = 4.0
    # Time; effect 1.5 % (autoencoder_mnist, loihi_mesh)
    max_neurons_for_memory_estimate: int = 20_000

    # Coarsening: growth of cores in graphs of listed edges, measured on 20,000 neurons
    # with 2 million edges

    # Targets of a source, time: more of them are on many cores anyway; 100: +0.2 %
    max_targets_that_attract: int = 1 << 14
    # Neurons in a row that exceed a limit; then a core is full; 1,000: no effect, 73 %
    # slower
    max_refusals: int = 64

    # Coarsening: none, single neurons
    # The method auto partitions fewer neurons without groups; 0: 50 % slower
    # (mini_network, neurons_32), 10,000: +10 %
    max_neurons_without_groups: int = 3_000
    max_single_neurons: int = 1_000_000  # memory
    max_single_pins: int = 4_000_000  # memory
    # Time: pins are not counted of more; sources at a position share their pins
    max_synapses_per_pin: int = 64
    # The same for listed edges, of which only parallel ones share pins
    max_listed_synapses_per_pin: int = 2
    # Share, below which neurons share few sources, and groups are poor; effect 2.4 %
    # (rueckauer_pruned, neurons_1024)
    max_weights_kept_for_scratch: float = 0.25

    # Initial partitions
    seeds_of_mtkahypar: int = 2  # effect 1.2 %
    # Largest hypergraph for Mt-KaHyPar's preset `quality`; 0: +0.9 %, 17 % faster
    max_nodes_of_quality: int = 5_000
    # Nodes for a block, of larger hypergraphs, time; 160, as `quality`: +0.3 %
    contraction_limit_of_large: int = 10
    # Most blocks for `quality`; more blocks take the preset `large_k`, time
    max_blocks_of_quality: int = 1024
    extra_cores: float = 0.05  # share above the sequential partition's; effect 13.9 %
    # Pins of all jobs of Mt-KaHyPar together, time; 100,000 and 900,000: no effect
    max_pins: int = 300_000
    # Pins of single neurons if groups were partitioned; 0: +17 % (autoencoder_mnist,
    # neurons_1024), 300,000: 50 % slower
    max_pins_after_groups: int = 60_000
    # A hyperedge for each source; beyond, one for each set of many sources, time
    max_exact_pins: int = 500_000
    min_sources_of_set_hyperedge: int = 8

    # Refinement: descent
    max_passes: int = 30  # 1 and 300: no effect
    # Share of the cost; 0: no effect, 16 % slower (autoencoder_mnist, loihi_mesh)
    min_gain_of_pass: float = 1e-4

    # Refinement: annealing
    max_groups_to_anneal: int = 20_000  # time; effect of annealing 2.1 %
    # Cost of a start / best known cost, time; 1 and 1e9: no effect
    max_cost_ratio_to_anneal: float = 1.2
    starts_annealed_per_round: int = 2  # effect 1.5 %
    max_rounds: int = 4  # effect 1.1 % (seed 0)
    # 1,000: +0.2 %, 23 % faster; 4,000: no effect, 24 % slower
    trials_per_group: int = 2_000
    # Trials of the annealings from one start, 3e6: +1.2 %, 12 % faster, 1e8: no effect;
    # and visits of neighbouring groups in these trials, 3e8: +1.6 %, 22 % faster, 3e9:
    # no effect (resnet8_mlperf, neurons_1024)
    max_trials: int = 10_000_000
    max_visits: int = 1_000_000_000
    # The same for patches, and before single neurons start from scratch; 1e8: +0.1 %,
    # 58 % faster, 1e9: no effect, 13 % slower (resnet8_mlperf, loihi_mesh)
    max_visits_of_patches: int = 300_000_000
    # Fixed cost of a trial, in visits; 200: +0.8 % (resnet8_mlperf, neurons_1024)
    visits_of_trial: int = 50
    # Penalty of exceeded limits, mean costs of a core; 1: +2.2 %, 100: 14 % slower
    penalty: float = 10.0
    # Temperature, mean costs of a group; 0.3: +2.1 %, 3: +0.6 %, 21 % slower
    hottest: float = 1.0
    coldest: float = 0.05  # 0.02: no effect, 0.2: +0.3 %, 11 % slower
    # Increase of the cost by a move, temperatures; 0: +0.1 %, no bound: 33 % slower
    max_increase_to_exchange: float = 8.0

    # Refinement: V-cycle of Mt-KaHyPar on single neurons
    # Time; effect 1.5 % (autoencoder_mnist, loihi_mesh)
    max_pins_of_v_cycle: int = 4_000_000
    # λ − 1 metric of the hypergraph / cost, beyond which a V-cycle improves little;
    # without this bound no effect, 108 % slower (resnet8_mlperf, neurons_1024,
    # `max_exact_pins` 0)
    max_metric_ratio: float = 1.05
    # As `max_exact_pins`, if the metric of the smaller hypergraph is wrong
    max_exact_pins_of_v_cycle: int = 1_000_000

    # Slices in the order of the ids; time: numbers of cores, and neurons in all slices
    max_slice_counts: int = 512
    max_sliced_neurons: int = 8_000_000
    edges_of_sliced: int = 16  # listed edges that take as long as a neuron
    less_slicing: int = 32  # both are less by this, where few cores are best
    max_placed_cores: int = 500  # of all slices that are placed, time

    # Placement
    # Share of the part of the mesh in use; 0: +0.2 % (resnet8_mlperf, loihi_mesh)
    spare_share_of_side: float = 1 / 8
    min_spare_positions: int = 2  # along each side; 0: +2.9 %, 4: no effect
    min_cores_for_eigenvectors: int = 8  # ARPACK needs more cores than eigenvectors
    # Time; without eigenvectors +53 % (a grid of 70 × 70 cores, numbered at random), in
    # the instances +0.3 % at most
    max_products_for_eigenvectors: float = 2e9
    eigenvector_tolerance: float = 1e-4  # 1e-2 and 1e-6: no effect
    max_rounds_of_cores: int = 1_000  # rounds × cores, time
    max_placement_rounds: int = 8  # effect 1.9 % (mobilenet_cifar10, loihi_mesh)
    temperature_steps: int = 120  # 60 and 240: no effect
    # Swaps of a round; effect of annealing 18.6 % (resnet20_cifar10,
    # loihi_mesh)
    swaps_per_core: int = 20_000
    # Swaps of all rounds; 1e7: +0.2 %, 38 % faster (resnet8_mlperf,
    # loihi_mesh)
    max_swaps: float = 2e7
    # Partners that swaps look at; 1e8: +0.2 %, 83 % faster (resnet8_mlperf, loihi_mesh)
    max_partners: float = 1e9
    # Temperature, mean increases by a swap of neighbours; 10: +0.3 % (resnet8_mlperf)
    hottest_swap: float = 3.0
    # 0.1: +1.3 % (resnet8_mlperf, loihi_mesh), 0.005: no effect
    coldest_swap: float = 0.02
    # Of the share of steps left: reach of swaps, mesh sides; 1: no effect, 3: +0.3 %
    # (resnet8_mlperf, loihi_mesh)
    exponent_of_reach: float = 2.0
    # Positions along each axis; 1: no effect, 4: +0.3 % (resnet8_mlperf, loihi_mesh)
    reach_of_descent: int = 2
    # Swaps that measure the mean increase; 200 and 20,000: no effect
    probes: int = 2_000
