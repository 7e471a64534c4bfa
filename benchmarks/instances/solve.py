"""Map instances by several methods; record the figures in docs/instances.csv, and keep the best mapping of each row.

    python benchmarks/instances/solve.py INSTANCE … [--constraints NAME …] [--methods NAME …] [--seeds 5]
        [--limit SECONDS] [--python OTHER/bin/python] [--kahypar-config FILE.ini]

OTHER is an environment with numpy, and mtkahypar, kahypar or pymetis for the methods of these names. They get the
hypergraph of `snnb export --format hmetis` (METIS: the graph of `metis`), and as many blocks as the neurons of a core
require and 5 % more. As they know no limit but this one, cores that exceed another limit are divided, as
`snnb map --split-overfull` does. KaHyPar takes its configuration file km1_kKaHyPar_eco_sea20.ini.

`random` gives the neurons to cores in random order, `sequential` in the order of their ids. `groups`, `hypergraph` and
`auto` are those of `snnb map`; `auto` can keep the sequential mapping. A method has --limit seconds, by default an
hour, for all seeds of an instance and constraints: another program that needs more for a seed is stopped, and no seed
begins later.

results/INSTANCE/CONSTRAINTS.parts.xz has the core of each placed neuron, CONSTRAINTS.places.xz x and y of each core,
CONSTRAINTS.json method, seed, program, commit and cost. A mapping with less connectivity replaces them; place.py then
adds the hops of other placements.
"""

import argparse
import itertools
import json
import lzma
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

HERE = Path(__file__).parent
OWN, OTHERS, FLOOR = (
    ("groups", "hypergraph", "auto"),
    ("mtkahypar", "kahypar", "metis"),
    ("random", "sequential"),
)
SLACK = 1.05  # blocks of other programs, above the least number
PACKAGES = {"mtkahypar": "mtkahypar", "kahypar": "kahypar", "metis": "pymetis"}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("instances", nargs="*")
    parser.add_argument("--constraints", nargs="+")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[*FLOOR, "auto"],
        choices=[*FLOOR, *OWN, *OTHERS],
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--python", default=sys.executable, help="interpreter of the other partitioners"
    )
    parser.add_argument("--kahypar-config", type=Path)
    parser.add_argument("--limit", type=float, default=3600)
    parser.add_argument(
        "--tool", nargs=5, help=argparse.SUPPRESS
    )  # method, file, blocks, most neurons, seed
    given = parser.parse_args()
    if given.tool:
        method, file, blocks, most, seed = given.tool
        for core in PARTITION[method](
            Path(file), int(blocks), int(most), int(seed), given.kahypar_config
        ):
            print(core)
        return
    for name in given.instances:
        solve(name, given)


def solve(name: str, given: argparse.Namespace) -> None:
    """Map one instance under its constraints; record the figures of each method, and a mapping better than the best."""
    from grade import Graph
    from table import FIGURES, best_of, by_case, graded, read_csv, result_of, write_csv

    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.instances.known_instances import find_instance
    from snnb.mapping.traffic import MappableNetwork

    instance = find_instance(name)
    edges = Graph(instance.path)
    with SynapseGraph.open(
        instance.path
    ) as graph, tempfile.TemporaryDirectory() as directory:
        network = MappableNetwork.of(graph)
        for constraints, method in itertools.product(
            given.constraints or instance.constraints, given.methods
        ):
            made, stored = (
                Path(directory) / f"{constraints}.json",
                result_of(name, constraints),
            )
            row = {"instance": name, "constraints": constraints, "method": method}
            row.update(solve_with(method, graph, network, made, given))
            row.update(
                graded(edges, constraints, made)
                if row["connectivity"] is not None
                else {}
            )
            rows = {
                (one["instance"], one["constraints"], one["method"]): one
                for one in read_csv()
            }
            empty = dict.fromkeys(next(iter(rows.values())))
            rows[name, constraints, method] = {**empty, **row}
            write_csv(list(rows.values()))
            best = best_of(by_case(list(rows.values()))[name, constraints])
            if best["method"] == method and (
                not stored.exists() or best["connectivity"] < recorded(stored)
            ):
                record = {key: row[key] for key in ("method", "seed", "program")}
                cost = {key: row[key] for key in FIGURES if row[key] is not None}
                document = {**record, "commit": commit(), "cost": cost}
                stored.parent.mkdir(exist_ok=True)
                stored.write_text(
                    json.dumps(document, indent=1) + "\n", encoding="utf-8"
                )
                for suffix in (".parts.xz", ".places.xz"):
                    stored.with_suffix(suffix).write_bytes(
                        made.with_suffix(suffix).read_bytes()
                    )


def solve_with(method, graph, network, made, given):
    """Map by one method with each seed; write the best mapping next to `made`, and return what the method has found."""
    from snnb.chips.read_hardware import read_hardware
    from snnb.core.errors import InputError
    from snnb.mapping.map_network import cost_partition, map_network

    hardware = read_hardware(str(HERE / "constraints" / made.name))
    found, spent, left = {}, [], given.limit
    for seed in range(1 if method == "sequential" else given.seeds):
        began = processor_seconds()
        earlier = 0.0
        try:
            if method in ("sequential", *OWN):
                mapped = map_network(network, hardware, method=method, seed=seed)
            else:
                parts, earlier = partition(
                    method, graph, network, hardware, seed, made.parent, given, left
                )
                mapped = cost_partition(
                    network, hardware, parts, split_overfull=True, seed=seed
                )
            connectivity = mapped.cost.traffic.connectivity
            result = f"{connectivity:,.1f}"
            if method == "auto" or mapped.partition.best.method in (method, "file"):
                if connectivity < min(found.values(), default=float("inf")):
                    write(made.with_suffix(".parts.xz"), mapped.core[:, None])
                    write(made.with_suffix(".places.xz"), mapped.place)
                found[seed] = connectivity
            else:
                result = f"none better than {mapped.partition.best.method}"
        except InputError as error:
            result = str(error)
        except subprocess.TimeoutExpired:
            result = f"none within {given.limit:,.0f} s"
            began, earlier = processor_seconds(), left
        spent.append(round(processor_seconds() - began + earlier, 1))
        print(made.stem, method, f"seed {seed}: {result}, {spent[-1]} s", flush=True)
        left -= spent[-1]
        if left <= 0:
            break
    return {
        "program": program(method, given.python),
        "seed": min(found, key=found.get, default=None),
        "connectivity": min(found.values(), default=None),
        "seeds": len(spent),
        "seeds_without_result": len(spent) - len(found),
        "largest_connectivity": max(found.values(), default=None),
        "seconds": statistics.median(spent),
    }


def recorded(stored: Path) -> float:
    """Return the connectivity of the stored mapping."""
    return json.loads(stored.read_text(encoding="utf-8"))["cost"]["connectivity"]


def commit() -> str:
    """Return the commit of the checkout."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True
    ).stdout.strip()


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def partition(
    method, graph, network, hardware, seed: int, directory: Path, given, left: float
) -> Tuple[Path, float]:
    """Return the file of a partition, and its processor time if it was computed for earlier constraints, else 0.

    Raise `subprocess.TimeoutExpired` if another program needs more than `left` seconds, or was stopped for earlier
    constraints.
    """
    import numpy as np

    limit = hardware.neurons_per_core
    parts = directory / f"{method}-{limit}-{seed}.parts"
    seconds, stopped = parts.with_suffix(".seconds"), parts.with_suffix(".stopped")
    if stopped.exists():
        raise subprocess.TimeoutExpired(method, left)
    if seconds.exists():
        return parts, float(seconds.read_text(encoding="utf-8"))
    began = processor_seconds()
    if method == "random":
        order = np.random.default_rng(seed).permutation(network.neurons)
        core = np.empty_like(order)
        core[order] = np.arange(order.size) // limit
        np.savetxt(parts, core, "%d")
    else:
        blocks = -(-int(network.neurons * SLACK) // limit)
        file = exported(graph, "metis" if method == "metis" else "hmetis", directory)
        arguments = [method, str(file), str(blocks), str(limit), str(seed)]
        config = (
            ["--kahypar-config", str(given.kahypar_config)]
            if given.kahypar_config
            else []
        )
        with parts.open("w", encoding="utf-8") as output:
            command = [given.python, __file__, *config, "--tool", *arguments]
            try:
                subprocess.run(command, stdout=output, check=True, timeout=left)
            except subprocess.TimeoutExpired:
                stopped.touch()
                raise
    seconds.write_text(str(processor_seconds() - began), encoding="utf-8")
    return parts, 0.0


def exported(graph, format: str, directory: Path) -> Path:
    """Return the file of an export, which is written once."""
    from snnb.formats.write_export import export

    path = directory / f"graph.{format}"
    if not path.exists():
        export(graph, format, path)
    return path


def write(path: Path, rows) -> None:
    """Write integers as text, a row a line, compressed."""
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist())
    path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def program(method: str, python: str) -> str:
    """Return the program of a method, with its version."""
    import snnb

    if method not in OTHERS:
        return f"snnb {snnb.__version__}"
    code = f"import importlib.metadata as m; print(m.version({PACKAGES[method]!r}))"
    version = subprocess.run(
        [python, "-c", code], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    return f"{PACKAGES[method]} {version.strip()}, divided by snnb {snnb.__version__}"


# What follows runs in the other environment


def read_hypergraph(path: Path) -> Tuple[int, List[int], List[int], List[int]]:
    """Return the number of nodes, and offsets, nodes (from 0) and weights of the hyperedges of an hMETIS file."""
    lines = (line for line in path.open(encoding="utf-8") if not line.startswith("%"))
    hyperedges, nodes = map(int, next(lines).split()[:2])
    offsets, pins, weights = [0], [], []
    for line in itertools.islice(
        lines, hyperedges
    ):  # the weights of the nodes follow, which are 1
        weight, *members = map(int, line.split())
        weights.append(weight)
        pins.extend(dict.fromkeys(member - 1 for member in members))
        offsets.append(len(pins))
    return nodes, offsets, pins, weights


def imbalance(nodes: int, blocks: int, most: int) -> float:
    """Return the share by which a block of `most` nodes exceeds the mean."""
    return max(most / -(-nodes // blocks) - 1, 0)


def by_mtkahypar(
    path: Path, blocks: int, most: int, seed: int, config: Optional[Path]
) -> List[int]:
    """Partition with Mt-KaHyPar, preset `quality`, on one thread."""
    import mtkahypar

    library = mtkahypar.initialize(1)
    mtkahypar.set_seed(seed)
    context = library.context_from_preset(mtkahypar.PresetType.QUALITY)
    context.logging = False
    graph = library.hypergraph_from_file(str(path), context)
    nodes = graph.num_nodes()
    context.set_partitioning_parameters(
        blocks, imbalance(nodes, blocks, most), mtkahypar.Objective.KM1
    )
    parts = graph.partition(context)
    return [parts.block_id(node) for node in range(nodes)]


def by_kahypar(
    path: Path, blocks: int, most: int, seed: int, config: Optional[Path]
) -> List[int]:
    """Partition with KaHyPar and its configuration file."""
    import kahypar

    nodes, offsets, pins, weights = read_hypergraph(path)
    graph = kahypar.Hypergraph(
        nodes, len(weights), offsets, pins, blocks, weights, [1] * nodes
    )
    context = kahypar.Context()
    context.loadINIconfiguration(str(config))
    context.setK(blocks)
    context.setEpsilon(imbalance(nodes, blocks, most))
    context.setSeed(seed)
    context.suppressOutput(True)
    kahypar.partition(graph, context)
    return [graph.blockID(node) for node in range(nodes)]


def by_metis(
    path: Path, blocks: int, most: int, seed: int, config: Optional[Path]
) -> List[int]:
    """Partition the graph with METIS, by bisection; it minimises the traffic of cut synapses."""
    import numpy as np
    import pymetis

    with path.open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("%"))
        next(lines)
        rows = [
            np.array(line.split(), np.int32) for line in lines
        ]  # a neighbour and a weight, and so on
    numbers = np.concatenate(rows)
    starts = np.cumsum([0, *(row.size // 2 for row in rows)], dtype=np.int32)
    options = pymetis.Options(seed=seed, ufactor=1)  # bisections add up their imbalance
    graph = pymetis.CSRAdjacency(starts, numbers[::2] - 1)
    weights = np.ascontiguousarray(numbers[1::2])
    _, core = pymetis.part_graph(
        blocks, graph, eweights=weights, recursive=True, options=options
    )
    return list(core)


PARTITION: Dict[str, object] = {
    "mtkahypar": by_mtkahypar,
    "kahypar": by_kahypar,
    "metis": by_metis,
}

if __name__ == "__main__":
    main()
