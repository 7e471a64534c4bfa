"""Write the tables of docs/instances.md from docs/instances.csv, or grade the stored mappings anew.

    python benchmarks/instances/table.py [[INSTANCE] --check]

With `--check` the best mapping of each row is graded, by grade.py and by snnb, and the command stops where a figure
differs from that in instances.csv, or a table from that on the page. This needs numpy, scipy, h5py and snnb.
"""

import argparse
import csv
import json
import lzma
import math
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from grade import HERE, INSTANCES, Graph, grade, read_constraints, read_numbers
from hops import core_traffic, fewest_hops

PAGE = HERE.parents[1] / "docs" / "instances.md"
CSV = PAGE.with_suffix(".csv")
RESULTS = HERE / "results"
METHODS = ("mtkahypar", "kahypar", "metis", "auto")  # of the page
TITLES = {"mtkahypar": "Mt-KaHyPar", "kahypar": "KaHyPar", "metis": "METIS"}
AXONCUDA = (
    "external_degrees",
    "overlap_mean",
    "overlap_geometric_mean",
)  # further objectives of its grader
FIGURES = (
    "cores",
    "connectivity",
    "cut",
    *AXONCUDA,
    "hops_unicast",
    "hops_multicast",
    "energy_pj",
    "step_ns",
)
LIMITED = ("neurons", "axons", "axons_out", "memory_bits")
SEEDS = 5  # of a method that has been run in full
Row = Dict[str, Any]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("instance", nargs="?", help="name; by default all instances")
    parser.add_argument(
        "--check", action="store_true", help="grade the mappings, and write nothing"
    )
    options = parser.parse_args()
    instances = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in INSTANCES.glob("*.json")
    ]
    instances.sort(key=lambda one: (one["synapses"], one["name"]))
    names = [instance["name"] for instance in instances]
    if options.instance not in (None, *names):
        parser.error(
            f"no instance {options.instance}; the instances are {', '.join(names)}"
        )
    rows = read_csv()
    text = with_tables(PAGE.read_text(encoding="utf-8"), instances, rows)
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
        return
    if PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE} has other tables than {CSV.name}: run table.py")
    graphs: Dict[str, Graph] = {}
    for (name, constraints), by_method in by_case(rows).items():
        if options.instance in (None, name):
            graphs = (
                graphs if name in graphs else {name: Graph(INSTANCES / f"{name}.h5")}
            )
            check(graphs[name], name, constraints, by_method)


def with_tables(page: str, instances: List[Row], rows: List[Row]) -> str:
    """Return the page with its tables written anew."""
    tables = {
        "instances": instance_table(instances),
        "ratios": ratio_table(rows),
        "ports": port_table(rows),
    }
    for name, lines in tables.items():
        begin, end = (
            f"<!-- {name}: written by `python benchmarks/instances/table.py` -->",
            f"<!-- end of {name} -->",
        )
        before, _, rest = page.partition(begin)
        page = "\n".join([before + begin, *lines, end + rest.partition(end)[2]])
    return page


def graded(graph: Graph, constraints: str, result: Path) -> Row:
    """Return the figures of a stored mapping by grade.py; stop if it is not valid."""
    core = read_numbers(result.with_suffix(".parts.xz"), 1)[:, 0]
    place = read_numbers(result.with_suffix(".places.xz"), 2)
    figures, fullest, violations = grade(
        graph, read_constraints(constraints), core, place
    )
    if violations:
        sys.exit(f"{result}: {'; '.join(violations)}")
    contents = {
        f"fullest_{name}": fullest[name]["contents"] if name in fullest else None
        for name in LIMITED
    }
    return {**{name: figures.get(name) for name in FIGURES}, **contents}


def check(graph: Graph, name: str, constraints: str, by_method: Dict[str, Row]) -> None:
    """Stop if the stored mapping is not the best, or grade.py or snnb compute other figures of it."""
    result = result_of(name, constraints)
    stored = json.loads(result.read_text(encoding="utf-8"))
    best = best_of(by_method)
    row = by_method.get(stored["method"], {})  # the best, or one of equal cost
    if row.get("seed") != stored["seed"] or not math.isclose(
        row["connectivity"], best["connectivity"], rel_tol=1e-9
    ):
        sys.exit(f"{result}: not the mapping of {best['method']}, seed {best['seed']}")
    traffic = core_traffic(
        graph, read_numbers(result.with_suffix(".parts.xz"), 1)[:, 0]
    )
    mine = {
        **graded(graph, constraints, result),
        "bound": fewest_hops(traffic, read_constraints(constraints)),
    }
    recorded = {**stored["cost"], "bound": stored["placements"]["bound"]}
    for by, theirs in (
        (CSV.name, row),
        (result.name, recorded),
        ("snnb", by_snnb(name, constraints, result)),
    ):
        for figure, value in theirs.items():
            if (
                value is not None
                and figure in mine
                and abs(mine[figure] - value) > 1e-9 * abs(value) + 1e-6
            ):
                sys.exit(
                    f"{result}: {figure} is {mine[figure]!r} by grade.py and {value!r} by {by}"
                )
    print(name, constraints, f"{mine['connectivity']:,.1f}", flush=True)


def by_snnb(name: str, constraints: str, result: Path) -> Dict[str, Optional[float]]:
    """Return the figures of a stored mapping by snnb."""
    from snnb.chips.read_hardware import read_hardware
    from snnb.core.quantities import values
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.map_network import cost_partition
    from snnb.mapping.traffic import MappableNetwork

    hardware = read_hardware(str(HERE / "constraints" / f"{constraints}.json"))
    with SynapseGraph.open(
        INSTANCES / f"{name}.h5"
    ) as graph, tempfile.TemporaryDirectory() as directory:
        files = []
        for kind in ("parts", "places"):
            files.append(Path(directory) / kind)
            files[-1].write_bytes(
                lzma.decompress(result.with_suffix(f".{kind}.xz").read_bytes())
            )
        cost = cost_partition(MappableNetwork.of(graph), hardware, *files).cost
    value_of = {**values(cost), "energy_pj": cost.energy.picojoules}
    return {figure: value_of.get(figure) for figure in FIGURES}


def result_of(name: str, constraints: str) -> Path:
    """Return the record of the best known mapping; its partition and its placement are next to it."""
    return RESULTS / name / f"{constraints}.json"


def read_csv() -> List[Row]:
    """Read the rows that `write_csv` has written: one for each instance, constraints and method."""
    texts = ("instance", "constraints", "method", "program")
    with CSV.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        {
            name: v if name in texts else json.loads(v or "null")
            for name, v in row.items()
        }
        for row in rows
    ]


def write_csv(rows: List[Row]) -> None:
    """Write all rows next to the page."""
    with CSV.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def instance_table(instances: List[Row]) -> List[str]:
    """Return a row an instance."""
    lines = [
        "| name | network | test, trained, spiking | samples × steps | neurons | synapses | spikes a sample |"
    ]
    lines.append("|---|---|---|---:|---:|---:|---:|")
    for one in instances:
        cells = [
            f"`{one['name']}`",
            one["network"].rstrip("."),
            quality(one),
            f"{one['pictures']:,} × {one['steps']:,}",
        ]
        cells += [
            f"{number:,.0f}"
            for number in (one["neurons"], one["synapses"], one["spikes"])
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def quality(instance: Row) -> str:
    """Return accuracies, or mean squared errors: trained network on all test samples, on these samples, spiking."""
    kind = "accuracy" if instance.get("accuracy") else "mean_squared_error"
    values = [instance[kind].get(name) for name in ("test", "trained", "spiking")]
    texts = [
        "–" if v is None else f"{v:.2%}" if kind == "accuracy" else f"error {v:.4f}"
        for v in values
    ]
    return ", ".join(texts)


def by_case(rows: List[Row]) -> Dict[Tuple[str, str], Dict[str, Row]]:
    """Return the rows of each instance and constraints by method."""
    cases: Dict[Tuple[str, str], Dict[str, Row]] = {}
    for row in rows:
        cases.setdefault((row["instance"], row["constraints"]), {})[row["method"]] = row
    return {
        case: by_method
        for case, by_method in cases.items()
        if "sequential" in by_method
    }


def ratio_table(rows: List[Row]) -> List[str]:
    """Return connectivity by method as ratio to the sequential mapping: best and, after a dash, worst seed.

    A dash alone means that no seed has given a mapping; a number in brackets is that of seeds, if not five.
    """
    lines = [
        f"| instance | constraints | sequential | {' | '.join(TITLES.get(m, m) for m in METHODS)} |"
    ]
    lines.append("|---|---|---:|" + "---:|" * len(METHODS))
    for (instance, constraints), by_method in by_case(rows).items():
        if "input_ports" in read_constraints(constraints):
            continue  # no peer has ports: see `port_table`
        baseline = by_method["sequential"]["connectivity"]
        best = min(
            row["connectivity"]
            for row in by_method.values()
            if row["connectivity"] is not None
        )
        cells = [f"{baseline:,.0f}"]
        for method in METHODS:
            row = by_method.get(method)
            if row is None or row["connectivity"] is None:
                cells.append("" if row is None else "–")
                continue
            low, high = (
                row["connectivity"] / baseline,
                row["largest_connectivity"] / baseline,
            )
            text = (
                f"{low:.3f}"
                if f"{low:.3f}" == f"{high:.3f}"
                else f"{low:.3f}–{high:.3f}"
            )
            mapped = row["seeds"] - row["seeds_without_result"]
            text = f"**{text}**" if row["connectivity"] == best else text
            cells.append(text if mapped == SEEDS else f"{text} ({mapped})")
        lines.append(f"| `{instance}` | {constraints} | {' | '.join(cells)} |")
    return lines


def port_table(rows: List[Row]) -> List[str]:
    """Return the hops of each case with input ports: placed for them, and without."""
    lines = [
        "| instance | constraints | cores | connectivity | hops, placed without ports | "
        "hops, placed with ports | ratio |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for (instance, constraints), by_method in by_case(rows).items():
        if "input_ports" not in read_constraints(constraints):
            continue
        result = result_of(instance, constraints)
        stored = json.loads(result.read_text(encoding="utf-8"))
        hops = stored["placements"]
        ratio = hops["snnb"] / hops["without_ports"]
        best = best_of(by_method)
        lines.append(
            f"| `{instance}` | {constraints} | {best['cores']} | "
            f"{best['connectivity']:,.0f} | {hops['without_ports']:,.0f} | "
            f"{hops['snnb']:,.0f} | {ratio:.3f} |"
        )
    return lines


def best_of(by_method: Dict[str, Row]) -> Row:
    """Return the row of least connectivity; of equal ones, that of `auto`."""
    mapped = (row for row in by_method.values() if row["connectivity"] is not None)
    return min(
        mapped, key=lambda row: (round(row["connectivity"], 6), row["method"] != "auto")
    )


if __name__ == "__main__":
    main()
