"""The log.txt of a graph, with the number of synapses that snntoolbox 0.5 reports, which is not the number it has."""

from typing import List, Sequence, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.layers import Conv1D, Convolution2D, Dense, DepthwiseConv2D


def log_lines(graph: SynapseGraph) -> List[str]:
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
