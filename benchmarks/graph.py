"""Time to build, generate and export the synapse graph on one core, compared with the same work done the usual ways.

    python benchmarks/graph.py [generate] [networks] [exports] [parts] [imports] [large] [--page]

Without a section the first three run, and `imports`; `parts` is in `exports` too. `large` writes AlexNet's 921 million
synapses as text and takes 22 GB of disk. `--page` writes the tables of `generate` and `networks` on the page.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import h5py
import networkx
import numpy as np
import pandas
import scipy.sparse
from graph_networks import (
    ALEXNET,
    VGG16,
    Layer,
    convolution,
    dense,
    pooling,
    write_network,
)
from machine import cells, machine, spread, write_table

from snnb.formats.all import FORMATS
from snnb.formats.export_options import ExportOptions
from snnb.formats.import_graph import import_graph
from snnb.formats.request import Request
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.read_network import read_network
from snnb.network.spike_counts import SpikeCounts

CORES = os.sched_getaffinity(0)  # of which only one is used but where it says otherwise
SAMPLE = 2_000_000  # edges that the slow ways are measured on


def seconds_of(work: Callable[[], Any]) -> float:
    """Return the processor time of a call, which other work on the machine changes less than its duration."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def generate(projection: GraphProjection) -> int:
    return sum(batch.source.size for batch in projection.edge_batches())


def touch(projection: GraphProjection) -> Tuple[int, float]:
    """Count the edges and sum them in float64."""
    count, total = 0, 0.0
    for batch in projection.edge_batches():
        count += batch.source.size
        total += float(batch.edge.sum(dtype=np.float64))
    return count, total


def numpy_fresh(projection: GraphProjection) -> None:
    """Vectorised index arithmetic into new arrays, for all channels of an input position at once."""
    (connection,) = projection.connections
    geometry, kernel = connection.geometry, connection.kernel
    rate = projection.source.edge_rate(1.0).reshape(geometry.input_volume)
    row_start, column_start = geometry.rows.starts(), geometry.columns.starts()
    filters = np.arange(geometry.filters)
    for row, column in np.ndindex(geometry.rows.size, geometry.columns.size):
        i, j = (
            slice(row_start[row], row_start[row + 1]),
            slice(column_start[column], column_start[column + 1]),
        )
        output = (
            geometry.rows.output[i][:, None] * geometry.columns.outputs
            + geometry.columns.output[j]
        )
        weight = kernel[geometry.rows.tap[i][:, None], geometry.columns.tap[j]]
        target = np.broadcast_to(
            (output[:, :, None] * geometry.filters + filters)[:, :, None], weight.shape
        )
        target = (target + projection.target.first).astype(np.int32)
        source = np.broadcast_to(
            connection.ids[row, column][:, None], weight.shape
        ).astype(np.int32)
        edge = rate[row, column][:, None] * weight
        del source, target, edge


def sample(projection: GraphProjection, edges: int) -> List[np.ndarray]:
    parts, count = [], 0
    for batch in projection.edge_batches():
        parts.append([values.copy() for values in batch])
        count += batch.source.size
        if count >= edges:
            break
    return [np.concatenate(columns)[:edges] for columns in zip(*parts)]


def scipy_csr(edges: List[np.ndarray], nodes: int) -> None:
    source, target, weight, _ = edges
    scipy.sparse.coo_matrix((weight, (source, target)), shape=(nodes, nodes)).tocsr()


def networkx_loop(edges: List[np.ndarray]) -> None:
    graph = networkx.DiGraph()
    for source, target, weight, edge in zip(*(values.tolist() for values in edges)):
        graph.add_edge(source, target, weight=weight, edge=edge)


PROJECTIONS: Dict[str, Tuple[Tuple[int, ...], Layer]] = {
    "convolution, AlexNet's second (5×5, 96 → 256)": (
        (26, 26, 96),
        convolution(256, 5),
    ),
    "dense, AlexNet's second (4096 → 4096)": ((4096,), dense(4096)),
    "pooling, VGG's first (2×2, 64 channels)": ((224, 224, 64), pooling(2, 2)),
}


WAYS = {
    "generated": "snnb, into reused buffers that nothing reads",
    "touched": "snnb, read once",
    "numpy": "vectorised numpy",
    "scipy": "scipy",
    "networkx": "a loop that fills networkx",
}
DIGITS = {"generated": 0, "touched": 0, "numpy": 0, "scipy": 0, "networkx": 2}
ROUNDS = 5


def generation(folder: Path, page: bool) -> None:
    print(
        f"\nSource, target, weight, edge: million edges per second of processor time; median of {ROUNDS}, range"
    )
    print(
        "generated: into reused buffers, not read; touched: generated, counted and summed"
    )
    lines = [
        "| projection | generated by | million edges per second | range |",
        "|---|---|---:|---:|",
    ]
    for number, (name, (shape, layer)) in enumerate(PROJECTIONS.items()):
        with build(folder, f"projection{number}", shape, [layer]) as graph:
            print(f"{name}: {graph.number_of_edges():,} edges")
            for way, speeds in measure(
                graph.projections[0], graph.number_of_nodes()
            ).items():
                print(f"    {way:10} {spread(speeds, DIGITS[way])}", flush=True)
                first = (
                    f"| {name}: {graph.number_of_edges():,} edges |"
                    if way == "generated"
                    else "| |"
                )
                lines.append(f"{first} {WAYS[way]} | {cells(speeds, DIGITS[way])} |")
    if page:
        write_table(
            "edges",
            f"{ROUNDS} rounds in turn, processor time of one core; {machine()}:",
            lines,
        )


def measure(projection: GraphProjection, nodes: int) -> Dict[str, List[float]]:
    """Return million edges per second by each way, a figure a round; slow ways have a sample, as arrays."""
    edges = generate(projection)  # compiles
    arrays = sample(projection, SAMPLE)
    few = [values[: SAMPLE // 10] for values in arrays]
    ways: Dict[str, Tuple[int, Callable[[], Any]]] = {
        "generated": (edges, lambda: generate(projection)),
        "touched": (edges, lambda: touch(projection)),
        "numpy": (edges, lambda: numpy_fresh(projection)),
        "scipy": (arrays[0].size, lambda: scipy_csr(arrays, nodes)),
        "networkx": (few[0].size, lambda: networkx_loop(few)),
    }
    if projection.connections[0].kernel is None:
        del ways["numpy"]
    speeds: Dict[str, List[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, (count, work) in ways.items():
            speeds[way].append(count / seconds_of(work) / 1e6)
    return speeds


def build(
    folder: Path, name: str, shape: Tuple[int, ...], layers: List[Layer]
) -> SynapseGraph:
    parsed, counts = write_network(folder, name, shape, layers)
    path = folder / f"{name}_graph.h5"
    return build_from(parsed, counts, {"input": "spikes"}, path)


def build_from(
    parsed: Path, counts: Path, coding: Dict[str, str], path: Path
) -> SynapseGraph:
    network = read_network(parsed)
    spike_counts = SpikeCounts.read(counts, network.volume_names, coding)
    return build_graph(network, spike_counts, path=path)


def networks(folder: Path, page: bool) -> None:
    print("\nEntire networks, random weights and rates; each step a separate process")
    print(
        f"{'':10}{'synapses':>16} {'parsed MB':>10} {'graph MB':>9} {'stage s':>8} {'MiB':>6} {'pass s':>7} {'MiB':>6}"
        "  largest deviation of a projection's sum from the closed form"
    )
    for name, network in (("AlexNet", ALEXNET), ("VGG16", VGG16)):
        parsed, counts = write_network(folder, name.lower(), *network)
        target = folder / f"{name.lower()}_graph.h5"
        stages = [in_process("stage", parsed, target, counts) for _ in range(ROUNDS)]
        walks = [in_process("pass", target) for _ in range(ROUNDS)]
        if page and name == "AlexNet":
            lines = ["| work | seconds | range | MiB |", "|---|---:|---:|---:|"]
            works = {
                "graph from network and counts": stages,
                "all edges generated, counted and summed": walks,
            }
            for work, done in works.items():
                mib = np.median([one["mib"] for one in done])
                lines.append(
                    f"| {work} | {cells([one['seconds'] for one in done], 1)} | {mib:,.0f} |"
                )
            title = f"AlexNet, {walks[0]['edges']:,} synapses, {ROUNDS} rounds on one core; {machine()}:"
            write_table("graph", title, lines)
        stage, walk = (
            min(done, key=lambda one: one["seconds"]) for done in (stages, walks)
        )
        sizes = [path.stat().st_size / 1e6 for path in (parsed, target)]
        print(
            f"{name:10}{walk['edges']:16,} {sizes[0]:10.0f} {sizes[1]:9.0f} {stage['seconds']:8.1f} {stage['mib']:6.0f}"
            f" {walk['seconds']:7.1f} {walk['mib']:6.0f}  {walk['deviation']:.1e}"
        )


def in_process(step: str, *paths: Path) -> Dict[str, Any]:
    """Run a step in a fresh interpreter, so that its peak memory is its own; time includes starting it."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--step", step, *map(str, paths)],
        stdout=subprocess.PIPE,
        check=True,
    )
    return {**json.loads(done.stdout.decode()), "seconds": time.perf_counter() - begin}


def run_step(step: str, paths: List[Path]) -> None:
    result: Dict[str, Any] = {}
    if step == "stage":
        from snnb.graph.synapse_graph import log_lines

        with build_from(paths[0], paths[2], {}, paths[1]) as graph:
            result["lines"] = len(log_lines(graph))
    elif step == "import":
        import_graph(paths[0], paths[1]).graph.close()
    else:
        with SynapseGraph.open(paths[0]) as graph:
            sums = [touch(projection) for projection in graph.projections]
            closed = graph.summary()
        assert [count for count, _ in sums] == [summary.edges for summary in closed]
        result["edges"] = sum(count for count, _ in sums)
        result["deviation"] = max(
            abs(total / s.edge.sum - 1) for (_, total), s in zip(sums, closed)
        )
    result["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def exports(folder: Path) -> None:
    graph = build(folder, "hundred_million", (12, 12, 384), [convolution(256, 3)])
    small = build(folder, "small", (12, 12, 16), [convolution(16, 3)])
    middle = build(folder, "middle", (12, 12, 64), [convolution(64, 3)])
    print(
        f"\nExports of one convolution of {graph.number_of_edges():,} edges (in brackets: {small.number_of_edges():,}),"
        "\nin turn with dd conv=fsync of as many bytes; medians of five rounds for binary formats"
    )
    print(
        f"{'':22}{'bytes/edge':>11} {'seconds':>8} {'M edges/s':>10} {'MB/s':>6} {'dd MB/s':>8} {'of dd':>6}"
    )
    for name in FORMATS:
        tiny = name in ("networkx", "graphml")
        chosen = (
            small if tiny else middle if name == "sanafe" else graph
        )  # which takes 50 million edges at most
        rounds = 5 if name in ("npz", "parquet", "parts", "sonata", "snn") else 1
        print_export(folder, chosen, name, f"({name})" if tiny else name, rounds)
    print_export(folder, small, "csv", "(csv.gz)", 1, "out.csv.gz")
    parts(folder)


def parts(folder: Path, rounds: int = 7) -> None:
    """The time of `parquet` over that of `parts` with two workers on all cores, in turn with each other and with dd."""
    graph = build(folder, "hundred_million", (12, 12, 384), [convolution(256, 3)])
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    measured = []
    for number in range(rounds + 1):
        seconds = []
        for format, workers in (("parquet", None), ("parts", 2)):
            settle(folder)
            begin = time.perf_counter()
            done = export(
                graph, format, folder / "out", Request(ExportOptions(workers=workers))
            )
            seconds.append(time.perf_counter() - begin)
        settle(folder)
        rate = done.size_bytes / seconds[-1]
        row = (
            seconds[0] / seconds[1],
            rate / 1e6,
            rate / dd_rate(folder, done.size_bytes >> 20),
        )
        measured += [row] if number else []  # the first round compiles and warms up
    settle(folder)
    os.sched_setaffinity(0, pinned)
    ratio, speed, share = np.median(measured, axis=0)
    print(
        f"parts with two workers: {ratio:.2f} × parquet ({', '.join(f'{row[0]:.2f}' for row in measured)}), "
        f"{speed:,.0f} MB/s, {share:.2f} of dd; medians of {rounds} rounds"
    )


def print_export(
    folder: Path,
    graph: SynapseGraph,
    format: str,
    title: str,
    rounds: int,
    file: str = "out",
) -> None:
    times = spike_times(folder, graph)
    measured = []
    for _ in range(rounds):
        settle(folder)
        begin = time.perf_counter()
        done = export(graph, format, folder / file, Request(spike_times=times))
        seconds = time.perf_counter() - begin
        settle(folder)
        measured.append(
            (
                done.size_bytes / seconds,
                dd_rate(folder, max(64, done.size_bytes >> 20)),
                seconds,
            )
        )
    rate, disk, seconds = np.median(measured, axis=0)
    share = np.median([own / other for own, other, _ in measured])
    print(
        f"{title:22}{done.size_bytes / done.edges:11.1f} {seconds:8.1f} {done.edges / seconds / 1e6:10.2f}"
        f" {rate / 1e6:6.0f} {disk / 1e6:8.0f} {share:6.2f}",
        flush=True,
    )


def settle(folder: Path) -> None:
    """Remove the files and wait for the disk, so that the next measurement is not affected."""
    for path in [*folder.glob("out*"), folder / "dd"]:
        if path.is_dir():
            shutil.rmtree(str(path))
        elif path.exists():
            path.unlink()
    os.sync()
    time.sleep(2)


def dd_rate(folder: Path, megabytes: int) -> float:
    """Bytes a second of `dd` with a sync at its end."""
    begin = time.perf_counter()
    subprocess.run(
        [
            "dd",
            "if=/dev/zero",
            f"of={folder / 'dd'}",
            "bs=1M",
            f"count={megabytes}",
            "conv=fsync",
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return megabytes * 2**20 / (time.perf_counter() - begin)


def spike_times(folder: Path, graph: SynapseGraph) -> Path:
    rng = np.random.default_rng(3)
    spikes = {
        p.name: np.argwhere(rng.random((1, p.size, 100)) < 0.1).astype(np.int32)
        for p in graph.populations
    }
    np.savez(folder / "spike_times.npz", num_samples=1, num_steps=100, **spikes)
    return folder / "spike_times.npz"


def large(folder: Path) -> None:
    parsed, counts = write_network(folder, "alexnet", *ALEXNET)
    with build_from(parsed, counts, {}, folder / "alexnet_graph.h5") as graph:
        print(
            f"\nAlexNet, {graph.number_of_edges():,} synapses, without those of the constant input"
        )
        for name in ("hmetis", "spinemap"):
            times, begin = spike_times(folder, graph), time.perf_counter()
            done = export(
                graph, name, folder / "out", Request(spike_times=times), force=True
            )
            minutes = (time.perf_counter() - begin) / 60
            print(
                f"{name:22}{done.size_bytes / 1e9:8.1f} GB {minutes:8.1f} minutes",
                flush=True,
            )


def edges_read(kind: str, path: Path) -> int:
    read = FORMATS[kind].read
    assert read is not None
    return sum(edges[0].size for edges in read(path).edges)


IMPORTED, NEURONS = 5_000_000, 100_000  # edges and neurons of a graph from outside


def imports(folder: Path) -> None:
    """Compare imports with other libraries that read the same columns, and with reading without sorting."""
    random = np.random.default_rng(0)
    ends = [random.integers(0, NEURONS, IMPORTED) for _ in range(2)]
    weight = random.random(IMPORTED, np.float32)
    table, columns = (
        folder / "edges",
        pandas.DataFrame({"source": ends[0], "target": ends[1], "weight": weight}),
    )
    columns.to_csv(f"{table}.csv", index=False)
    columns.to_parquet(f"{table}.parquet")
    np.savez(f"{table}.npz", **columns)
    few = IMPORTED // 10
    ways: Dict[str, Tuple[Path, Dict[str, Tuple[int, Callable[[], Any]]]]] = {
        "csv": (
            Path(f"{table}.csv"),
            {
                "pandas": (IMPORTED, lambda: pandas.read_csv(f"{table}.csv")),
                "loadtxt": (
                    few,
                    lambda: np.loadtxt(
                        f"{table}.csv", delimiter=",", skiprows=1, max_rows=few
                    ),
                ),
            },
        ),
        "npz": (
            Path(f"{table}.npz"),
            {
                "numpy": (IMPORTED, lambda: dict(np.load(f"{table}.npz"))),
                "scipy": (
                    IMPORTED,
                    lambda: scipy_csr(
                        [*np.load(f"{table}.npz").values(), weight], NEURONS
                    ),
                ),
            },
        ),
        "parquet": (
            Path(f"{table}.parquet"),
            {"pandas": (IMPORTED, lambda: pandas.read_parquet(f"{table}.parquet"))},
        ),
        "sonata": (
            write_sonata(folder / "sonata", *ends, weight),
            {"h5py": (IMPORTED, lambda: read_columns(folder / "sonata"))},
        ),
    }
    print(
        f"\nGraphs from outside, {IMPORTED:,} edges: million edges per second of processor time, {ROUNDS} rounds\n"
        "imported: read, sorted, written; read: without that; then other libraries, which only read (scipy sorts);\n"
        "memory of an import in a process of its own"
    )
    for kind, (path, others) in ways.items():
        steps: Dict[str, Tuple[int, Callable[[], Any]]] = {
            "imported": (
                IMPORTED,
                lambda path=path: import_graph(
                    path, folder / "in_graph.h5"
                ).graph.close(),
            ),
            "read": (IMPORTED, lambda path=path, kind=kind: edges_read(kind, path)),
            **others,
        }
        steps["imported"][1]()  # compiles
        speeds = {
            step: [count / seconds_of(work) / 1e6 for _ in range(ROUNDS)]
            for step, (count, work) in steps.items()
        }
        for step in steps:
            ratio = np.median(speeds[step]) / np.median(speeds["imported"])
            print(
                f"{kind:10} {step:10} {spread(speeds[step], 2)}  {ratio:.2f} × imported",
                flush=True,
            )
        print(
            f"{kind:10} {'MiB':10} {in_process('import', path, folder / 'in_graph.h5')['mib']:.0f}",
            flush=True,
        )


def write_sonata(
    folder: Path, source: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> Path:
    """Write a network of one population as bmtk does."""
    folder.mkdir()
    with h5py.File(str(folder / "nodes.h5"), "w") as file:
        file["nodes/cells/node_type_id"] = np.zeros(NEURONS, np.uint64)
    with h5py.File(str(folder / "edges.h5"), "w") as file:
        group = file.create_group("edges/cells_to_cells")
        for name, values in (("source_node_id", source), ("target_node_id", target)):
            group[name] = values.astype(np.uint64)
            group[name].attrs["node_population"] = "cells"
        group["edge_type_id"], group["edge_group_id"] = np.zeros(
            (2, weight.size), np.uint32
        )
        group["edge_group_index"], group["0/syn_weight"] = (
            np.arange(weight.size, dtype=np.uint64),
            weight,
        )
    return folder


def read_columns(network: Path) -> None:
    """Read sources, targets and weights with h5py at once."""
    with h5py.File(str(network / "edges.h5"), "r") as file:
        for name in ("source_node_id", "target_node_id", "0/syn_weight"):
            file["edges/cells_to_cells"][name][()]


SECTIONS: Dict[str, Callable[..., None]] = {
    "generate": generation,
    "networks": networks,
    "exports": exports,
    "parts": parts,
    "imports": imports,
    "large": large,
}
ON_PAGE = ("generate", "networks")  # sections with a table in docs/performance.md


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", nargs="*", help=", ".join(SECTIONS))
    parser.add_argument(
        "--folder",
        type=Path,
        help="where to write, a temporary directory when left out",
    )
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        run_step(given.step[0], [Path(path) for path in given.step[1:]])
        return
    print(machine())
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(
        dir=None if given.folder is None else str(given.folder)
    ) as folder:
        for section in given.section or ("generate", "networks", "exports", "imports"):
            SECTIONS[section](
                Path(folder), *([given.page] if section in ON_PAGE else [])
            )


if __name__ == "__main__":
    main()
