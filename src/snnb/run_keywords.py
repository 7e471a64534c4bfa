"""Options as keywords of `snnb.Run` and `snnb.api`, for type checkers; written by `make docs`.

Bounds, defaults and help are those of the options' own fields; `help(snnb.Run.train)`
and `help(snnb.simulate)` show them.
"""

from pathlib import Path
from typing import Literal, Mapping, Optional, Sequence, Tuple, TypedDict, Union


class PrepareKeywords(TypedDict, total=False):
    """Options of `snnb prepare`."""

    source: Optional[Union[str, Path]]
    data_dir: Optional[Union[str, Path]]
    shape: Tuple[int, int, int]
    norm_samples: int
    limit: Optional[int]
    seed: int
    bin_us: int
    binary: bool


class TrainKeywords(TypedDict, total=False):
    """Options of `snnb train`."""

    epochs: int
    batch_size: int
    optimizer: Literal["adam", "rmsprop", "sgd"]
    learning_rate: float
    schedule: Literal["constant", "cosine", "cycle"]
    momentum: float
    nesterov: bool
    weight_decay: float
    flip: bool
    shift: float
    early_stopping: Optional[int]
    validation_split: float
    steps_per_epoch: Optional[int]
    seed: int
    settings: Mapping[str, object]
    activation: Literal["relu", "qcfs"]
    levels: int
    initial_weights: Optional[Union[str, Path]]
    resume: Optional[bool]
    pixels: Optional[str]
    figures: Optional[Literal["png", "svg", "pdf"]]


class ParseKeywords(TypedDict, total=False):
    """Options of `snnb parse`."""

    percentile: float
    max_pool: Literal["exact", "average", "toolbox"]
    rectify_linear: bool
    exact_clip: bool
    parser: Literal["own", "toolbox"]
    batch_size: int
    calibrate: Optional[int]
    calibration_samples: Optional[int]
    firing: Literal["separated", "free"]
    spike_weight: float
    weight_bits: Optional[int]
    threshold_bits: int
    scale_per: Literal["channel", "layer"]
    prune: float
    time_step: Optional[float]
    nir_reset: Literal["value", "subtract", "subtract_delayed"]
    integration: Literal["euler", "exponential"]


class SimulateKeywords(TypedDict, total=False):
    """Options of `snnb simulate`."""

    engine: Literal["auto", "event", "tensorflow", "toolbox"]
    samples: int
    first: int
    duration: int
    warm_up: int
    batch_size: int
    input: Literal["constant", "poisson", "events", "steps"]
    input_rate: int
    threshold: float
    reset: Literal["subtraction", "zero"]
    initial_potential: float
    workers: int
    scheduler: Optional[str]
    output: Literal["auto", "softmax", "spikes", "membrane"]
    record_spikes: int
    seed: int
    label: Optional[str]
    figures: Optional[Literal["png", "svg", "pdf"]]


class GraphKeywords(TypedDict, total=False):
    """Options of `snnb graph`."""

    simulation: Optional[str]
    weights_only: bool
    pool_weight: Literal["mean", "one"]
    from_file: Optional[Union[str, Path]]
    rates: Optional[Union[str, Path, Sequence[Union[str, Path]]]]
    rate_samples: Optional[int]
    rate_steps: Optional[int]
    rate_unit: Literal["step", "hz", "sample"]
    networkx_limit: int


class MapKeywords(TypedDict, total=False):
    """Options of `snnb map`."""

    hardware: Optional[str]
    unavailable: Optional[Union[str, Path]]
    method: Literal["auto", "sequential", "groups", "hypergraph"]
    objective: Literal["spikes", "hops", "energy", "step"]
    partition: Optional[Union[str, Path]]
    placement: Optional[Union[str, Path]]
    allow_overfull: bool
    split_overfull: bool
    graph: Optional[str]
    seed: int
    figures: Optional[Literal["png", "svg", "pdf"]]


class ExportKeywords(TypedDict, total=False):
    """Options of `snnb export`."""

    rate_unit: Literal["step", "hz", "sample"]
    with_input: bool
    exact: bool
    integers: bool
    scale: Optional[float]
    workers: Optional[int]
    scheduler: Optional[str]
    map: Optional[str]
    idx64: bool


class NirKeywords(TypedDict, total=False):
    """Options of `snnb.read`."""

    time_step: Optional[float]
    nir_reset: Literal["value", "subtract", "subtract_delayed"]
    integration: Literal["euler", "exponential"]


class ConversionKeywords(TypedDict, total=False):
    """Options of `snnb.convert`."""

    percentile: float
    max_pool: Literal["exact", "average", "toolbox"]
    rectify_linear: bool
    exact_clip: bool
    parser: Literal["own", "toolbox"]
    batch_size: int
    calibrate: Optional[int]
    calibration_samples: Optional[int]
    firing: Literal["separated", "free"]
    spike_weight: float
    weight_bits: Optional[int]
    threshold_bits: int
    scale_per: Literal["channel", "layer"]
    prune: float


class SimulationKeywords(TypedDict, total=False):
    """Options of `snnb.simulate`."""

    engine: Literal["auto", "event", "tensorflow", "toolbox"]
    duration: int
    warm_up: int
    batch_size: int
    input: Literal["constant", "poisson", "events", "steps"]
    input_rate: int
    threshold: float
    reset: Literal["subtraction", "zero"]
    initial_potential: float
    workers: int
    scheduler: Optional[str]
    output: Literal["auto", "softmax", "spikes", "membrane"]
    record_spikes: int
    seed: int
