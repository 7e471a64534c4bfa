"""Grade all stored results anew and write the tables of docs/instances.md.

    python benchmarks/instances/table.py [INSTANCE] [--check]

needs numpy, scipy and h5py. With INSTANCE only its results are graded; those of the others are read from
docs/instances.csv. With `--check` it needs snnb too, computes each stored result by `snnb map --partition` as well, and
stops where a figure of grade.py is another one.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

from grade import HERE, INSTANCES, Graph, grade, read_constraints, read_numbers
from hops import agrees, core_traffic, read_partition, read_placements

PAGE = HERE.parents[1] / "docs" / "instances.md"
CSV = PAGE.with_suffix(".csv")
RESULTS = HERE / "results"
METHODS = ("random", "sequential", "groups", "hypergraph", "mtkahypar", "kahypar", "metis", "auto")
TITLES = {"mtkahypar": "Mt-KaHyPar", "kahypar": "KaHyPar", "metis": "METIS"}
AXONCUDA = ("external_degrees", "overlap_mean", "overlap_geometric_mean")  # further objectives of its grader
FIGURES = ("cores", "connectivity", "cut", *AXONCUDA, "hops_unicast", "hops_multicast", "energy_pj", "step_ns")
INEXACT = ("energy_pj", "step_ns")
LIMITED = ("neurons", "axons", "axons_out", "memory_bits")
SEEDS = 5  # of a method that has been run in full
Row = Dict[str, Any]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("instance", nargs="?", help="name; by default all instances")
    parser.add_argument("--check", action="store_true", help="compute each result with snnb as well")
    options = parser.parse_args()
    instances = [json.loads(path.read_text(encoding="utf-8")) for path in INSTANCES.glob("*.json")]
    instances.sort(key=lambda one: (one["synapses"], one["name"], one["version"]))
    names = [label_of(instance, instances) for instance in instances]
    if options.instance not in (None, *names):
        parser.error(f"no instance {options.instance}; the instances are {', '.join(names)}")
    stored = [] if options.instance is None else read_csv()
    rows = []
    for instance, label in zip(instances, names):
        if options.instance not in (None, label):
            rows += [row for row in stored if row["instance"] == label]
            continue
        full_name = f"{instance['name']}-{instance['version']}"
        graph = Graph(INSTANCES / f"{full_name}.h5")
        for constraint in instance["constraints"]:
            for method in METHODS:
                result = RESULTS / full_name / constraint / f"{method}.json"
                if not result.exists():
                    continue
                rows.append({"instance": label, **graded(graph, constraint, result)})
                print(full_name, constraint, method, rows[-1]["connectivity"], flush=True)
                if options.check and rows[-1]["connectivity"] is not None:
                    compare(full_name, constraint, result, rows[-1])
            check_placements(graph, full_name, constraint, options.check)
    write_csv(rows)
    tables = [
        instance_table(instances),
        ratio_table(rows),
        best_table(rows),
        placement_table(rows),
        axoncuda_table(rows),
    ]
    text = PAGE.read_text(encoding="utf-8")
    for name, lines in zip(("instances", "ratios", "best", "placements", "axoncuda"), tables):
        begin, end = f"<!-- {name}: written by `python benchmarks/instances/table.py` -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = "\n".join([before + begin, *lines, end + rest.partition(end)[2]])
    PAGE.write_text(text, encoding="utf-8")


def label_of(instance: Row, instances: List[Row]) -> str:
    """Return the name of an instance, with its version if it has several."""
    several = [one["name"] for one in instances].count(instance["name"]) > 1
    return f"{instance['name']}-{instance['version']}" if several else instance["name"]


def folder_of(label: str, constraints: str) -> Path:
    """Return the folder of the results of the instance of this label."""
    return next(RESULTS.glob(f"{label if '-' in label else label + '-*'}/{constraints}"))


def graded(graph: Graph, constraint: str, result: Path) -> Row:
    """Grade a stored result, and stop if it is not valid; figures are None if no seed has given one."""
    stored = json.loads(result.read_text(encoding="utf-8"))
    mapped = [seed for seed in stored["seeds"] if "connectivity" in seed]
    figures, fullest, best = {}, {}, {}
    if mapped:
        core = read_numbers(result.with_suffix(".parts.xz"), 1)[:, 0]
        place = read_numbers(result.with_suffix(".places.xz"), 2)
        figures, fullest, violations = grade(graph, read_constraints(constraint), core, place)
        if violations:
            sys.exit(f"{result}: {'; '.join(violations)}")
        best = min(mapped, key=lambda seed: seed["connectivity"])
    return {
        "constraints": constraint,
        "method": stored["method"],
        "program": stored["program"],
        "seed": best.get("seed"),
        **{name: figures.get(name) for name in FIGURES},
        **{f"fullest_{name}": fullest[name]["contents"] if name in fullest else None for name in LIMITED},
        "seeds": len(stored["seeds"]),
        "seeds_without_result": len(stored["seeds"]) - len(mapped),
        "largest_connectivity": max((seed["connectivity"] for seed in mapped), default=None),
        "seconds": statistics.median(seed["seconds"] for seed in stored["seeds"]),
    }


def compare(full_name: str, constraint: str, result: Path, row: Row) -> None:
    """Stop if `snnb` computes another figure from the same files."""
    import lzma

    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.hardware import read_hardware
    from snnb.mapping.map_network import cost_partition
    from snnb.mapping.traffic import PlacedNetwork

    hardware = read_hardware(str(HERE / "constraints" / f"{constraint}.json"))
    with SynapseGraph.open(INSTANCES / f"{full_name}.h5") as graph, tempfile.TemporaryDirectory() as directory:
        files = []
        for kind in ("parts", "places"):
            files.append(Path(directory) / kind)
            files[-1].write_bytes(lzma.decompress(result.with_suffix(f".{kind}.xz").read_bytes()))
        mapped = cost_partition(PlacedNetwork.of(graph), hardware, *files)
    for name in FIGURES:
        theirs, tolerance = getattr(mapped.cost, name, None), 1e-9 if name in INEXACT else 1e-12
        if name == "cores":
            theirs = int((mapped.cost.contents["neurons"] > 0).sum())
        if theirs is not None and abs(row[name] - theirs) > tolerance * abs(theirs):
            sys.exit(f"{result}: {name} is {row[name]!r} by grade.py and {theirs!r} by snnb")


def check_placements(graph: Graph, full_name: str, constraint: str, with_snnb: bool) -> None:
    """Stop if hops and bound of placements.json are others, or those of snnb `with_snnb`."""
    folder = RESULTS / full_name / constraint
    if not (folder / "placements.json").exists():
        return
    stored, places = read_placements(folder)
    core = read_partition(graph, folder, stored["partition"])
    if not agrees(folder, core_traffic(graph, core), read_constraints(constraint)):
        sys.exit(f"{folder}/placements.json is of another partition, or wrong: run place.py")
    if with_snnb:
        from snnb.graph.synapse_graph import SynapseGraph
        from snnb.mapping.cost import Routes
        from snnb.mapping.hardware import read_hardware
        from snnb.mapping.traffic import PlacedNetwork, count_traffic

        hardware = read_hardware(str(HERE / "constraints" / f"{constraint}.json"))
        with SynapseGraph.open(INSTANCES / f"{full_name}.h5") as opened:
            network = PlacedNetwork.of(opened)
            traffic = count_traffic(network, core.astype("int32"), stored["cores"]).matrix
        for method, place in places.items():
            theirs = float(traffic.data @ Routes.of(traffic, hardware, place.astype("int32")).hops.sum(axis=0))
            if abs(theirs - stored["hops"][method]) > 1e-9 * theirs + 1e-6:
                sys.exit(f"{folder}/placements.json: {method} has {theirs!r} hops by snnb")


def read_csv() -> List[Row]:
    """Read the rows that `write_csv` has written."""
    texts = ("instance", "constraints", "method", "program")
    with CSV.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: v if name in texts else json.loads(v or "null") for name, v in row.items()} for row in rows]


def write_csv(rows: List[Row]) -> None:
    """Write all rows next to the page."""
    with CSV.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def instance_table(instances: List[Row]) -> List[str]:
    """Return a row an instance."""
    lines = [
        "| name | network | test, trained, spiking | samples × steps | neurons | synapses | spikes a sample | KB |"
    ]
    lines.append("|---|---|---|---:|---:|---:|---:|---:|")
    for one in instances:
        kilobytes = (INSTANCES / f"{one['name']}-{one['version']}.h5").stat().st_size / 1000
        cells = [
            f"`{label_of(one, instances)}`",
            one["network"].rstrip("."),
            quality(one),
            f"{one['pictures']:,} × {one['steps']:,}",
        ]
        cells += [f"{number:,.0f}" for number in (one["neurons"], one["synapses"], one["spikes"], kilobytes)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def quality(instance: Row) -> str:
    """Return accuracies, or mean squared errors: trained network on all test samples, on these samples, spiking."""
    kind = "accuracy" if instance.get("accuracy") else "mean_squared_error"
    values = [instance[kind].get(name) for name in ("test", "trained", "spiking")]
    texts = ["–" if v is None else f"{v:.2%}" if kind == "accuracy" else f"error {v:.4f}" for v in values]
    return ", ".join(texts)


def by_case(rows: List[Row]) -> Dict[Tuple[str, str], Dict[str, Row]]:
    """Return the rows of each instance and constraints by method."""
    cases: Dict[Tuple[str, str], Dict[str, Row]] = {}
    for row in rows:
        cases.setdefault((row["instance"], row["constraints"]), {})[row["method"]] = row
    return {case: by_method for case, by_method in cases.items() if "sequential" in by_method}


def ratio_table(rows: List[Row]) -> List[str]:
    """Return connectivity by method as ratio to the sequential mapping: best and, after a dash, worst seed.

    A dash alone means that no seed has given a mapping; a number in brackets is that of seeds, if not five.
    """
    methods = [method for method in METHODS if method != "sequential" and any(row["method"] == method for row in rows)]
    lines = [f"| instance | constraints | sequential | {' | '.join(TITLES.get(m, m) for m in methods)} |"]
    lines.append("|---|---|---:|" + "---:|" * len(methods))
    for (instance, constraints), by_method in by_case(rows).items():
        baseline = by_method["sequential"]["connectivity"]
        best = min(row["connectivity"] for row in by_method.values() if row["connectivity"] is not None)
        cells = [f"{baseline:,.0f}"]
        for method in methods:
            row = by_method.get(method)
            if row is None or row["connectivity"] is None:
                cells.append("" if row is None else "–")
                continue
            low, high = row["connectivity"] / baseline, row["largest_connectivity"] / baseline
            text = f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f}–{high:.3f}"
            mapped = row["seeds"] - row["seeds_without_result"]
            text = f"**{text}**" if row["connectivity"] == best else text
            cells.append(text if mapped == SEEDS else f"{text} ({mapped})")
        lines.append(f"| `{instance}` | {constraints} | {' | '.join(cells)} |")
    return lines


def best_of(by_method: Dict[str, Row]) -> Row:
    """Return the row of least connectivity."""
    return min(
        (row for row in by_method.values() if row["connectivity"] is not None), key=lambda row: row["connectivity"]
    )


def best_table(rows: List[Row]) -> List[str]:
    """Return the best known result of each instance and constraints; of equal ones that of the first of `METHODS`."""
    lines = ["| instance | constraints | connectivity | cores | hops | energy µJ | step µs | method, seed | s |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---|---:|")
    for (instance, constraints), by_method in by_case(rows).items():
        row = best_of(by_method)
        step = "" if row["step_ns"] is None else f"{row['step_ns'] / 1000:.4g}"
        cells = [f"`{instance}`", constraints, f"{row['connectivity']:,.1f}", f"{row['cores']}"]
        cells += [f"{row['hops_unicast']:,.1f}", f"{row['energy_pj'] / 1e6:.4g}", step]
        cells += [f"{TITLES.get(row['method'], row['method'])}, {row['seed']}", f"{row['seconds']:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def placement_table(rows: List[Row]) -> List[str]:
    """Return hops by method of placement, and their lower bound, as ratios to those of snnb."""
    lines = ["| instance | constraints | partition | cores | spikes | hops by snnb | bound | curves | force-directed |"]
    lines.append("|---|---|---|" + "---:|" * 6)
    for instance, constraints in by_case(rows):
        folder = folder_of(instance, constraints)
        if not (folder / "placements.json").exists():
            continue
        stored = read_placements(folder)[0]
        hops, partition = stored["hops"], stored["partition"]
        cells = [f"`{instance}`", constraints, TITLES.get(partition, partition), f"{stored['cores']:,}"]
        cells += [f"{stored['spikes']:,.1f}", f"{hops['snnb']:,.1f}"]
        others = (stored["bound"], hops["curve"], hops["force"])
        cells += [f"{one / hops['snnb']:.3f}" if hops["snnb"] else "–" for one in others]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def axoncuda_table(rows: List[Row]) -> List[str]:
    """Return the objectives of AxonCUDA's grader of the best known results, beside those of the sequential mapping."""
    lines = [
        "| instance | constraints | external degrees | sequential | overlap | sequential | geometric | sequential |"
    ]
    lines.append("|---|---|" + "---:|" * 6)
    for (instance, constraints), by_method in by_case(rows).items():
        pair = best_of(by_method), by_method["sequential"]
        cells = [f"{row['external_degrees']:,.0f}" for row in pair]
        cells += [f"{row[name]:,.2f}" for name in AXONCUDA[1:] for row in pair]
        lines.append(f"| `{instance}` | {constraints} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
