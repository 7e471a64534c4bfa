"""Statistics of synapses, from kernel elements and summed rates instead of edge by edge; and the log.txt of a graph.

The log has the number of synapses that snntoolbox 0.5 reports, which is not the number that the graph has.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.network.geometry import PADDING
from snnb.network.layers import Conv1D, Convolution2D, Dense, DepthwiseConv2D

if TYPE_CHECKING:
    from snnb.graph.synapse_graph import SynapseGraph

CHUNK = 1 << 22  # kernel elements in a block, so that large dense kernels are not copied


@dataclass(frozen=True)
class Spread:
    """Minimum, mean, maximum and sum."""

    min: float
    mean: float
    max: float
    sum: float

    def __str__(self) -> str:
        return f"{self.min:.6g} … {self.max:.6g}, mean {self.mean:.6g}"


@dataclass(frozen=True)
class ProjectionSummary:
    """Statistics of the synapses of a projection.

    Attributes
    ----------
    rule, source, target : str
        Keras class of the target's layer; names of the populations.
    edges, zero_edges : int
        Number of synapses, and number of synapses whose weight or rate is 0.
    out_degree, in_degree, weight, edge : Spread
        Synapses of a source, and onto a target; thresholds, and thresholds per time step (currents, where populations
        have a neuron model).
    spikes_per_second : float or None
        Spikes that the synapses carry in a second of simulated time; 0 for a constant input, None without spike counts.
    delay : int
        Time steps from a spike to its arrival.
    """

    rule: str
    source: str
    target: str
    edges: int
    zero_edges: int
    out_degree: Spread
    in_degree: Spread
    weight: Spread
    edge: Spread
    spikes_per_second: Optional[float]
    delay: int = 0


def summarize(projection: GraphProjection, seconds_per_step: Optional[float]) -> ProjectionSummary:
    """Summarize a projection; `seconds_per_step` is None for a graph without spike counts."""
    batches = (_group(batch.weight, batch.edge) for batch in projection.edge_batches())
    groups = list(batches if projection.merged else _by_tap(projection.connections[0]))
    edges = projection.number_of_edges
    carried = None
    if seconds_per_step is not None:
        carried = float(projection.source.traffic() @ projection.out_degrees) / seconds_per_step
    return ProjectionSummary(
        projection.rule,
        projection.source.name,
        projection.target.name,
        edges,
        edges - sum(nonzero for _, _, nonzero in groups),
        _of_degrees(projection.out_degrees),
        _of_degrees(projection.in_degrees),
        _spread([weights for weights, _, _ in groups], edges),
        _spread([products for _, products, _ in groups], edges),
        carried,
        projection.delay,
    )


Values = Tuple[float, float, float]  # sum, minimum and maximum
Group = Tuple[Values, Values, int]  # of weights and of edges, and the number of non-zero edges


def _group(weights: np.ndarray, edges: np.ndarray) -> Group:
    of_weights, of_edges = ((v.sum(dtype=np.float64), v.min(), v.max()) for v in (weights, edges))
    return of_weights, of_edges, int(np.count_nonzero(edges))


def _spread(groups: Sequence[Values], count: int) -> Spread:
    if not count:
        return Spread(0.0, 0.0, 0.0, 0.0)
    sums, least, greatest = zip(*groups)
    total = float(sum(sums))
    return Spread(float(min(least)), total / count, float(max(greatest)), total)


def _of_degrees(degrees: np.ndarray) -> Spread:
    return _spread([(degrees.sum(), degrees.min(), degrees.max())], degrees.size)


def _by_tap(connection: Connection) -> Iterator[Group]:
    """Yield groups for one kernel tap after another.

    All edges of one kernel element share its weight, so that Σ edge = Σ over kernel elements of weight × summed rates.
    """
    rows, columns = connection.geometry.rows, connection.geometry.columns
    rate = np.append(connection.source.edge_rate(1.0), np.float32(0))
    real = connection.positions.ids != PADDING
    rates = rate[np.where(real, connection.positions.ids - connection.source.first, -1)]
    for i in range(rows.taps):
        in_tap = rows.tap == i
        row_input, row_output = rows.input[in_tap], rows.output[in_tap]
        for j in range(columns.taps):
            in_tap = columns.tap == j
            column_input, column_output = columns.input[in_tap], columns.output[in_tap]
            here = row_input[:, None], column_input[None, :]
            if not row_input.size or not column_input.size or not real[here].any():
                continue
            if connection.kernel is None:
                scale = connection.scale[row_output[:, None], column_output[None, :]]
                weights = np.broadcast_to(scale[:, :, None], real[here].shape)[real[here]]
                yield _group(weights, rates[here][real[here]] * weights)
            else:
                yield from _of_kernel(rates[here], real[here], connection.kernel[i, j])


def _of_kernel(rates: np.ndarray, real: np.ndarray, kernel: np.ndarray) -> Iterator[Group]:
    """Take rates and mask (rows, columns, channels) of one tap, and its kernel elements (channels, filters)."""
    uses = real.sum(axis=(0, 1))
    sums = rates.sum(axis=(0, 1), dtype=np.float64)
    active = np.count_nonzero(rates, axis=(0, 1))
    least = np.min(rates, axis=(0, 1), where=real, initial=np.inf)
    greatest = np.max(rates, axis=(0, 1), where=real, initial=-np.inf)
    step = max(1, CHUNK // kernel.shape[1])
    for begin in range(0, uses.size, step):
        part = begin + np.flatnonzero(uses[begin : begin + step])
        if not part.size:
            continue
        weights = kernel[part] if part.size < len(uses[begin : begin + step]) else kernel[begin : begin + step]
        total, low, high = weights.sum(axis=1, dtype=np.float64), weights.min(axis=1), weights.max(axis=1)
        corners = np.stack([least[part], greatest[part]])[:, None] * np.stack([low, high])
        yield (
            (uses[part] @ total, low.min(), high.max()),
            (sums[part] @ total, corners.min(), corners.max()),
            int(active[part] @ np.count_nonzero(weights, axis=1)),
        )


def log_lines(graph: "SynapseGraph") -> List[str]:
    """Return the lines of the log."""
    text = [
        f"graph of {graph.number_of_nodes():,} nodes "
        f"in {len(graph.populations)} populations, {len(graph.projections)} projections",
    ]
    if "pool_weight" in graph.attributes:
        text.append(f"weights of average pooling: {graph.attributes['pool_weight']}")
    for name, of in (("parsed_sha256", "parsed model"), ("source_sha256", "file that the graph was read from")):
        if name in graph.attributes:
            text.append(f"SHA-256 of the {of}: {graph.attributes[name]}")
    if graph.recording is None:
        text.append("weights only, no spike counts: edge = weight")
    else:
        recording = graph.recording
        if "counts_sha256" in graph.attributes:
            text.append(f"SHA-256 of the spike counts: {graph.attributes['counts_sha256']}")
        if graph.class_name is not None:
            text.append(f"spikes of the samples of one class only: {graph.class_name}")
        text += [
            f"rates: spikes per time step of {recording.dt_ms:g} ms, over {recording.num_samples:,} samples of "
            f"{recording.num_timesteps:,} steps counted after a warm-up of {recording.warm_up:,}",
            f"edge = rate of the source × weight, in {graph.attributes['edge_unit']}",
        ]
        codings = sorted((p.coding, p.name) for p in graph.populations if p.coding is not None and p.coding != "spikes")
        text += [f"coding of {name}: {coding}" for coding, name in codings]
    text.append("")
    for summary in graph.summary():
        late = f", {summary.delay} time step{'s' * (summary.delay > 1)} later" if summary.delay else ""
        text += [
            f"{summary.source} → {summary.target} ({summary.rule}{late})",
            f"  edges               {summary.edges:,}, of which {summary.zero_edges:,} are 0 (no weight or no spike)",
            f"  out-degree          {summary.out_degree}",
            f"  in-degree           {summary.in_degree}",
            f"  weight              {summary.weight}",
            f"  edge                {summary.edge}, sum {summary.edge.sum:.9g}",
        ]
        if summary.spikes_per_second is not None:
            text.append(f"  spikes carried      {summary.spikes_per_second:,.6g} a second")
        text.append("")
    edges, counted = graph.number_of_edges(), toolbox_synapses(graph.projections)
    listed = any(not projection.connections for projection in graph.projections)
    text += [
        f"neurons             {graph.number_of_neurons():,} (nodes, with the input: {graph.number_of_nodes():,})",
        f"synapses            {edges:,}",
        *([] if listed else [f"the toolbox counts  {counted:,}"]),
    ]
    if counted != edges and not listed:
        text.append(
            "  It gives all neurons of a layer one fan-out: kernel size × filters towards a convolution, also at the "
            "border where the kernel hangs over, and 1 towards a pooling, also where windows overlap or leave it out."
        )
    return text


def toolbox_synapses(projections: Sequence[GraphProjection]) -> int:
    """Count synapses as snntoolbox 0.5 does (`parsing.utils.get_fanout`, summed in `AbstractSNN.set_connectivity`).

    It takes neurons × fan-out, where fan-out is the number of units of a dense layer, 1 towards a pooling, and kernel
    size × filters towards a convolution of stride 1, for border neurons too. Towards a convolution with a stride it
    counts positions, some of them outside the layer. (There it multiplies by the batch size where the number of filters
    is meant; this function takes the filters.)
    """
    return sum(_fan_out(connection) for projection in projections for connection in projection.connections)


def _fan_out(connection: Connection) -> int:
    geometry, layer, neurons = connection.geometry, connection.layer, connection.source.size
    if isinstance(layer, Dense):
        return neurons * geometry.filters
    if not isinstance(layer, (Conv1D, Convolution2D)):
        return neurons
    filters = 1 if isinstance(layer, DepthwiseConv2D) else geometry.filters
    strides, kernel = _pair(layer.strides), _pair(layer.kernel_size)
    if strides == (1, 1) or len(connection.source.shape) != 3:
        return neurons * kernel[0] * kernel[1] * filters
    height, width, channels = connection.source.shape
    same = layer.padding == "same"
    # The toolbox unpacks kernel_size as width, height, though it is height, width.
    rows = _positions(height, geometry.rows.outputs, kernel[1], strides[0], same)
    columns = _positions(width, geometry.columns.outputs, kernel[0], strides[1], same)
    return rows * columns * channels * filters


def _positions(size: int, outputs: int, kernel: int, stride: int, same: bool) -> int:
    """Sum, over the positions of an axis, the windows that the toolbox believes to hold it."""
    shifted = np.arange(size) + ((kernel - 1) // 2 if same else 0)
    last, within = np.divmod(shifted, stride)
    count = size  # the last window is counted without a look at where the layer ends
    for back in range(1, kernel):
        count += int(np.sum((within + back * stride < kernel) & (last - back >= 0) & (last - back < outputs)))
    return count


def _pair(lengths: Tuple[int, ...]) -> Tuple[int, int]:
    first, second = lengths if len(lengths) == 2 else (1, *lengths)
    return first, second
