"""Grade a mapping of an instance: compute its figures and violations from the edges of the graph file.

    python benchmarks/instances/grade.py INSTANCE PARTITION [--placement FILE] --constraints NAME [--json]

docs/instances.md defines files, figures and limits. Needs numpy and h5py alone, and shares no code with snnb.
Exit status: 0 if the mapping is valid, 1 if it violates a constraint, 2 if a file cannot be read.
"""

import argparse
import hashlib
import json
import lzma
import sys
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parent
INSTANCES = HERE.parents[1] / "src/snnb/instances"
EDGES, LISTS = 1 << 20, 1 << 23  # edges, and lists of synapses, in memory at a time
OF_NEURONS, OF_SYNAPSES = (
    ("neuron_active", "neuron_inactive", "spike", "axon_out"),
    ("axon_in", "synapse"),
)
ROUTE = {"router", "link", "link_x", "link_y", "between_chips"}
EVENTS = {*ROUTE, *OF_NEURONS, *OF_SYNAPSES}
LIMITS = ("neurons", "axons", "axons_out", "synapses")  # each in the key NAME_per_core
KEYS = {
    "name",
    "mesh",
    "tile",
    "chip",
    "source",
    "sources",
    *(f"{name}_per_core" for name in LIMITS),
}
KEYS |= {"input_ports", "unavailable"}  # positions of the mesh
PARTS = {"energy_pj": EVENTS, "latency_ns": ROUTE, "time_ns": {*EVENTS, "barrier"}}
PARTS["synapse_memory"] = {"bits_per_core", "weight_bits", "index_bits", "sharing"}


class Kernel:
    """The edges of a group of `connections`; `degree` of them for each of `ids`, which ascend."""

    def __init__(self, group, first_target):
        height, width, channels = group.attrs["input_volume"].tolist()
        _, self.columns, self.filters = group.attrs["output_volume"].tolist()
        self.fan = (
            self.filters // {"dense": 1, "diagonal": channels}[group.attrs["pairing"]]
        )  # targets at a position
        self.merged, self.maximum = (
            bool(group.attrs["parallel"]),
            group.attrs["rule"] == "MaxPooling2D",
        )
        ids = (
            group["ids"][()].ravel()
            if "ids" in group
            else np.arange(height * width * channels)
        )
        ids = ids.astype(np.int64) + group.attrs.get("first_id", 0)
        position = np.argsort(ids, kind="stable")
        position = position[np.searchsorted(ids[position], 0) :]  # without padding
        pixel, self.channel = np.divmod(position, channels)
        self.ids, self.first = (
            ids[position],
            first_target + self.channel * (self.fan % self.filters),
        )
        self.tables = [group[name][()].astype(np.int64) for name in ("rows", "columns")]
        meets = [
            (table[:, 0], at) for table, at in zip(self.tables, np.divmod(pixel, width))
        ]
        self.begin = np.array(
            [np.searchsorted(*met) for met in meets]
        )  # of the rows and columns of each position
        self.count = (
            np.array([np.searchsorted(*met, "right") for met in meets]) - self.begin
        )
        self.kernel, self.mean = (
            group["kernel"][()] if "kernel" in group else None,
            group.attrs["weighting"] == "mean",
        )
        self.degree = self.count[0] * self.count[1] * self.fan

    def edges(self, begin, end):
        """Return source, target and weight of the edges of the nodes from `begin` to `end` - 1."""
        part = slice(*np.searchsorted(self.ids, (begin, end)))
        pairs = self.degree[part] // self.fan  # of a row and a column
        of = np.repeat(np.arange(self.ids.size)[part], pairs)
        number = np.arange(of.size) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        i, j = self.begin[:, of] + np.divmod(number, self.count[1, of])
        (to_row, tap_row), (to_column, tap_column) = (
            self.tables[0][i, 1:].T,
            self.tables[1][j, 1:].T,
        )
        first = self.first[of] + (to_row * self.columns + to_column) * self.filters
        weight = np.ones((of.size, self.fan), np.float32)
        if self.kernel is not None:
            weight = self.kernel[tap_row, tap_column, self.channel[of]]
        elif self.mean:
            rows, columns = (np.bincount(table[:, 1]) for table in self.tables)
            weight *= (1 / (rows[to_row] * columns[to_column])).astype(np.float32)[
                :, None
            ]
        return (
            np.repeat(self.ids[of], self.fan),
            (first[:, None] + np.arange(self.fan)).ravel(),
            weight.ravel(),
        )


class Listed:
    """The edges of a group of `lists`; `degree` of them for each of `ids`."""

    def __init__(self, group, first):
        self.start, self.target, self.weight, self.merged = (
            group["start"][()],
            group["target"],
            group["weight"],
            False,
        )
        self.degree, self.ids = (
            np.diff(self.start),
            first + np.arange(self.start.size - 1),
        )

    def edges(self, begin, end):
        """Return source, target and weight of the edges of the nodes from `begin` to `end` - 1."""
        begin, end = np.searchsorted(self.ids, (begin, end))
        source, part = (
            np.repeat(self.ids[begin:end], self.degree[begin:end]),
            slice(self.start[begin], self.start[end]),
        )
        return source, self.target[part].astype(np.int64), self.weight[part]


class Graph:
    """A graph file: spikes of all samples by node (`counts`), and the edges."""

    def __init__(self, path):
        content = path.read_bytes()
        if (
            f"\nsha256 {hashlib.sha256(content[512:]).hexdigest()}\n".encode()
            not in content[:512]
        ):
            raise ValueError(
                f"{path} is not a graph file, or not as it was written: its SHA-256 is another one"
            )
        file = h5py.File(str(path), "r")
        groups = [
            file["populations"][name] for name in sorted(file["populations"], key=int)
        ]
        first = np.cumsum([0, *(np.prod(group.attrs["shape"]) for group in groups)])
        self.nodes, self.placed = (
            int(first[-1]),
            int(first[file.attrs.get("inputs", 1)]),
        )  # the inputs come first
        self.counts, self.sends, self.driven = (
            np.zeros(self.nodes),
            *np.zeros((2, self.nodes), bool),
        )
        for number, group in enumerate(groups):
            part = slice(first[number], first[number + 1])
            self.sends[part] = (
                first[number] >= self.placed or group.attrs["coding"] != "current"
            )
            self.counts[part] = group["spike_count"][()].ravel() * self.sends[part]
            for name in (
                "bias",
                "later_bias",
                "initial_potential",
                "neuron/offset",
                "neuron/initial",
            ):
                if name in group:
                    self.driven[part] |= np.broadcast_to(
                        group[name][()] != 0, group.attrs["shape"]
                    ).ravel()
        self.samples, self.dropped = (
            int(file.attrs["num_samples"]),
            file.attrs.get("zeros") == "dropped",
        )
        windows = [
            group.attrs.get("window", (0, 0)) for group in groups
        ]  # (0, 0): there is none
        spans = [
            windows[to][1] - windows[k][0]
            for k, to in file["projections"][()]
            if windows[to][1]
        ]
        self.interval = int(max(spans, default=file.attrs["num_timesteps"]))
        self.groups = {}  # by target population and delay: edges of the same two nodes in a group are one
        for name, group in sorted(file.get("connections", {}).items()):
            to = int(name.split(".")[0])
            self.groups.setdefault((to, group.attrs.get("delay", 0)), []).append(
                Kernel(group, first[to])
            )
        for name, group in file.get("lists", {}).items():
            self.groups[name] = [
                Listed(group, first[file["projections"][int(name), 0]])
            ]

    def edges(self):
        """Yield source, target and weight of all edges, all edges of a source at once."""
        end = np.cumsum(
            sum(
                np.bincount(b.ids, b.degree, self.nodes)
                for many in self.groups.values()
                for b in many
            )
        )
        bounds = np.unique(
            [0, *np.searchsorted(end, np.arange(EDGES, end[-1], EDGES)) + 1, self.nodes]
        )
        for begin, stop in zip(bounds[:-1], bounds[1:]):
            parts = []
            for blocks in self.groups.values():
                edges = [
                    np.concatenate(values)
                    for values in zip(*(block.edges(begin, stop) for block in blocks))
                ]
                if len(blocks) > 1 or blocks[0].merged:
                    key, number = np.unique(
                        edges[0] * self.nodes + edges[1], return_inverse=True
                    )
                    weight = np.bincount(number, edges[2], key.size).astype(np.float32)
                    edges = [
                        *np.divmod(key, self.nodes),
                        np.ones_like(weight) if blocks[0].maximum else weight,
                    ]
                if self.dropped and isinstance(blocks[0], Kernel):
                    edges = [values[edges[2] != 0] for values in edges]
                parts.append(edges)
            yield [np.concatenate(values) for values in zip(*parts)]


def firsts(values):
    """Return the index of the first of each run of equal numbers."""
    return np.flatnonzero(np.diff(values, prepend=values[:1] - 1))


def nearest_ports(chip, place):
    """Return the index of the input port with the fewest hops to each core, of equal ones the first."""
    tile = chip.get("tile", (1, 1))
    ports = np.array(chip["input_ports"]) // tile
    hops = np.abs(place[:, None] // tile - ports).sum(axis=2)
    return hops.argmin(axis=1)


def routes(chip, begin, end, tree, spikes):
    """Return hops, multicast hops and energy of messages between positions of the mesh.

    Messages of one source that begin at one position have the same `tree`; trees ascend.
    """
    figures = chip["energy_pj"]
    chip_sides = chip.get("chip", chip["mesh"])
    borders = np.abs(begin // chip_sides - end // chip_sides).T
    tile = chip.get("tile", (1, 1))
    begin = (begin // tile).T
    end = (end // tile).T
    links = np.abs(begin - end)
    hops = spikes @ links.sum(axis=0)
    inside = (links - borders if "between_chips" in figures else links) @ spikes
    energy = (hops + spikes.sum()) * figures["router"] + (
        borders @ spikes
    ).sum() * figures.get("between_chips", 0)
    energy += sum(
        n * figures.get(name, figures.get("link"))
        for n, name in zip(inside, ("link_x", "link_y"))
    )
    multicast = 0.0
    column = (
        tree * (end[0].max(initial=0) + 1) + end[0]
    )  # routes share the row of the begin, then go along columns
    order = np.argsort(column, kind="stable")
    for axis, at, runs in (
        (0, slice(None), firsts(tree)),
        (1, order, firsts(column[order])),
    ):
        here, there = begin[axis, at][runs], end[axis, at]
        high, low = np.maximum.reduceat(there, runs), np.minimum.reduceat(there, runs)
        multicast += spikes[at][runs] @ (np.maximum(high, here) - np.minimum(low, here))
    return np.array([hops, multicast, energy])


def mix(value):
    """Return a hash of each uint64 number: the last steps of splitmix64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def shared_entries(graph, core_of, lists):
    """Count the entries of the distinct lists of each core, which has `lists` of them, compared by 64-bit hashes."""
    order, rank = np.argsort(core_of, kind="stable"), np.empty(graph.nodes, np.int64)
    rank[order] = np.arange(graph.nodes) - np.searchsorted(
        core_of[order], core_of[order]
    )
    pass_of, entries = np.cumsum(lists) // LISTS, np.zeros(lists.size)
    for number in np.unique(pass_of):
        tables = []  # hash, core and entries of each list
        for source, target, weight in graph.edges():
            part = np.flatnonzero(pass_of[core_of[target]] == number)
            key = source[part] * lists.size + core_of[target[part]]
            order = np.argsort(key, kind="stable")
            key, part = key[order], part[order]
            index, at = rank[target[part]], firsts(key)
            length, core = (
                np.diff(at, append=key.size),
                (key[at] % lists.size).astype(np.uint64),
            )
            index -= np.repeat(np.minimum.reduceat(index, at), length)
            bits = (weight[part] + np.float32(0)).view(np.uint32)  # -0 is 0
            value = np.add.reduceat(
                mix(index.astype(np.uint64) << np.uint64(32) | bits), at
            )
            tables.append(
                np.stack(
                    [
                        mix(value ^ mix(core + np.uint64(1))),
                        core,
                        length.astype(np.uint64),
                    ]
                )
            )
        value, core, length = np.concatenate(tables, axis=1)
        kept = np.unique(value, return_index=True)[1]
        entries += np.bincount(core[kept].astype(int), length[kept], lists.size)
    return entries


def measure(graph, core, chip, place):
    """Return figures, and contents of each core by limit, for core of each neuron and place of each core (or None)."""
    cores, spikes, sums = int(core.max()) + 1, graph.counts, np.zeros(6)
    core_of, active = np.append(np.full(graph.placed, -1), core), graph.driven.copy()
    synapses, operations, lists, axons, axons_out, sent, received, pairs = np.zeros(
        (8, cores)
    )
    port_of = (
        None
        if place is None or "input_ports" not in chip
        else nearest_ports(chip, place)
    )
    for source, target, _ in graph.edges():
        synapses += np.bincount(core_of[target], minlength=cores)
        operations += np.bincount(core_of[target], spikes[source], cores)
        active[target[(spikes[source] > 0) | ~graph.sends[source]]] = True
        pair = np.sort(
            source * graph.nodes + target, kind="stable"
        )  # of ascending runs
        by, onto = np.divmod(
            pair[firsts(pair)], graph.nodes
        )  # with several delays once
        degree = np.bincount(by, minlength=graph.nodes)
        pairs += np.bincount(core_of[onto[graph.sends[by]]], minlength=cores)
        source, to = np.divmod(
            np.unique(source * cores + core_of[target]), cores
        )  # neurons and cores they reach
        lists += np.bincount(to, minlength=cores)
        source, to = source[graph.sends[source]], to[graph.sends[source]]
        axons += np.bincount(to, minlength=cores)
        received += np.bincount(to, spikes[source], cores)
        if port_of is not None:
            is_input = source < graph.placed
            port = port_of[to[is_input]]
            tree = source[is_input] * len(chip["input_ports"]) + port
            order = np.argsort(tree, kind="stable")
            begin = np.array(chip["input_ports"])[port[order]]
            end = place[to[is_input][order]]
            sums[3:] += routes(
                chip, begin, end, tree[order], spikes[source[is_input][order]]
            )
        source, to = source[source >= graph.placed], to[source >= graph.placed]
        axons_out += np.bincount(core_of[source], minlength=cores)
        sent += np.bincount(core_of[source], spikes[source], cores)
        source, to = source[core_of[source] != to], to[core_of[source] != to]
        sums[:2] += spikes[source].sum(), spikes[np.unique(source)].sum()
        sums[2] += spikes[source] @ (1 + degree[source])
        if place is not None:
            sums[3:] += routes(
                chip, place[core_of[source]], place[to], source, spikes[source]
            )
    neurons, updated = (
        np.bincount(core),
        np.bincount(core[active[graph.placed :]], minlength=cores),
    )
    contents = {
        "neurons": neurons,
        "axons": axons,
        "axons_out": axons_out,
        "synapses": synapses,
    }
    if "synapse_memory" in chip:
        memory = {"sharing": "none", "index_bits": 0, **chip["synapse_memory"]}
        entries = (
            synapses
            if memory["sharing"] == "none"
            else shared_entries(graph, core_of, lists)
        )
        contents["memory_bits"] = entries * (
            memory["weight_bits"] + memory["index_bits"]
        )
    steps, spiked = (
        graph.interval * graph.samples,
        np.bincount(core, spikes[graph.placed :]),
    )
    events = {
        "axon_out": sent,
        "axon_in": received,
        "synapse": operations,
        "spike": spiked,
    }  # of a core
    events.update(
        neuron_active=updated * steps, neuron_inactive=(neurons - updated) * steps
    )
    sums[5] += sum(
        events[name].sum() * chip["energy_pj"].get(name, 0) for name in events
    )
    names = (
        "connectivity",
        "cut",
        "external_degrees",
        "hops_unicast",
        "hops_multicast",
        "energy_pj",
    )
    known_names = names[: 3 if place is None else 6]
    figures = {
        "cores": np.count_nonzero(neurons),
        **dict(zip(known_names, sums / graph.samples)),
    }
    overlap = pairs[neurons > 0] / np.maximum(axons[neurons > 0], 1)
    figures["overlap_mean"] = overlap.mean()
    figures["overlap_geometric_mean"] = np.exp(
        np.log(overlap[overlap > 0]).sum() / overlap.size
    )
    if "time_ns" in chip and place is not None:
        times = {"barrier": 0, **chip["time_ns"]}
        busy = [
            sum(events[name] * times.get(name, 0) for name in names)
            for names in (OF_NEURONS, OF_SYNAPSES)
        ]
        if isinstance(times["barrier"], dict):
            tiles = len(np.unique(place[core] // chip.get("tile", (1, 1)), axis=0))
            least = sorted(times["barrier"], key=int)
            times["barrier"] = times["barrier"][
                max([n for n in least if int(n) <= tiles] or least[:1], key=int)
            ]
        figures["step_ns"] = np.max(busy) / steps + times["barrier"]
    return figures, contents


def read_numbers(path, columns):
    """Return the numbers of a partition or a placement."""
    text = (lzma.decompress if path.suffix == ".xz" else bytes)(
        path.read_bytes()
    ).decode()
    rows = []
    for number, line in enumerate(text.rstrip().split("\n"), 1):
        words = line.replace(",", " ").split()
        if len(words) != columns or not all(
            word.isdecimal() and len(word) < 19 for word in words
        ):
            raise ValueError(
                f"{path}, line {number}: {line.strip()[:40]!r} is not {columns} whole number(s) from 0"
            )
        rows.append(words)
    return np.array(rows, np.int64).reshape(-1, columns)


def read_constraints(name):
    """Read a hardware description; refuse one with keys that this program does not check."""
    path = (
        Path(name) if name.endswith(".json") else HERE / "constraints" / f"{name}.json"
    )
    if not path.exists():
        known = ", ".join(
            sorted(path.stem for path in (HERE / "constraints").glob("*.json"))
        )
        raise ValueError(
            f"{name} is no file and no constraints; the constraints are {known}"
        )
    chip = json.loads(
        path.read_text(encoding="utf-8"),
        object_pairs_hook=lambda pairs: {k: v for k, v in pairs if v is not None},
    )
    wrong = {*chip} - KEYS - {*PARTS} | {
        "mesh",
        "neurons_per_core",
        "axons_per_core",
        "energy_pj",
    } - {*chip}
    wrong |= {
        f"{part}.{key}" for part in PARTS for key in {*chip.get(part, ())} - PARTS[part]
    }
    if wrong:
        raise ValueError(f"{path}: unknown or missing keys: {', '.join(sorted(wrong))}")
    return chip


def grade(graph, chip, core, place=None):
    """Return figures, core, contents and limit of the fullest core by limit, and the violations as texts."""
    violations, fullest, mesh, inputs = (
        [],
        {},
        chip["mesh"],
        graph.placed if graph.sends[: graph.placed].any() else 0,
    )
    core = (
        core[inputs:] if core.size == graph.nodes else core
    )  # without the lines of a spiking input
    if core.size != graph.nodes - graph.placed:
        return (
            {},
            {},
            [
                f"{core.size} lines in the partition, and {graph.nodes - graph.placed} neurons to place"
            ],
        )
    cores = int(core.max()) + 1
    unavailable = np.array(chip.get("unavailable", [])).reshape(-1, 2)
    available = mesh[0] * mesh[1] - len(unavailable)
    if cores > available:
        return (
            {},
            {},
            [
                f"core {cores - 1} is not one of the {available}, which are numbered from 0"
            ],
        )
    if place is not None:
        outside = np.flatnonzero((place >= mesh).any(axis=1))
        violations += [
            f"core {number} is not on the mesh of {mesh[0]} x {mesh[1]}"
            for number in outside[:1]
        ]
        failed = np.flatnonzero((place[:, None] == unavailable).all(axis=2).any(axis=1))
        violations += [
            f"core {number} is at {place[number].tolist()}, which is unavailable"
            for number in failed[:1]
        ]
        violations += [f"{len(place)} lines in the placement, and {cores} cores"] * (
            len(place) < cores
        )
        place = None if violations else place
        violations += ["two cores at one place"] * (
            place is not None and len(np.unique(place, axis=0)) < len(place)
        )
    figures, contents = measure(graph, core, chip, place)
    limits = {name: chip.get(f"{name}_per_core") for name in LIMITS}
    limits["memory_bits"] = chip.get("synapse_memory", {}).get("bits_per_core")
    for name, limit in limits.items():
        if limit is not None:
            number, most, over = (
                int(np.argmax(contents[name])),
                int(contents[name].max()),
                contents[name] > limit,
            )
            fullest[name] = {"core": number, "contents": most, "limit": limit}
            violations += [
                f"{most} {name} of {limit} in core {number}; {over.sum()} such cores"
            ] * bool(over.any())
    return (
        {name: np.asarray(value).item() for name, value in figures.items()},
        fullest,
        violations,
    )


def main():
    """Grade the files of the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("instance", help="name, or path of a graph file (.h5)")
    parser.add_argument(
        "partition",
        type=Path,
        help="a core number per line, for each placed neuron; may be .xz",
    )
    parser.add_argument(
        "--placement", type=Path, help="x y per line, for each core; may be .xz"
    )
    parser.add_argument(
        "--constraints",
        required=True,
        help="name of a file in constraints/, or a path (.json)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    options = parser.parse_args()
    named = INSTANCES / f"{options.instance}.h5"
    path = named if named.exists() else Path(options.instance)
    try:
        if not path.exists():
            known = ", ".join(sorted(path.stem for path in INSTANCES.glob("*.h5")))
            raise ValueError(
                f"{options.instance} is no file and no instance; the instances are {known}"
            )
        chip, core = (
            read_constraints(options.constraints),
            read_numbers(options.partition, 1)[:, 0],
        )
        place = options.placement and read_numbers(options.placement, 2)
        figures, fullest, violations = grade(Graph(path), chip, core, place)
    except (OSError, ValueError, KeyError, OverflowError, lzma.LZMAError) as error:
        print(f"unreadable: {error}", file=sys.stderr)
        return 2
    lines = [f"{name:<16}{value:>20,.10g}" for name, value in figures.items()]
    lines += [
        "{:<16}{contents:>20,} of {limit:,} (core {core})".format(name, **fullest[name])
        for name in fullest
    ]
    lines += [f"violation: {text}" for text in violations] or ["valid"]
    result = {
        "valid": not violations,
        "figures": figures,
        "fullest": fullest,
        "violations": violations,
    }
    print(json.dumps(result) if options.json else "\n".join(lines))
    return int(bool(violations))


if __name__ == "__main__":
    sys.exit(main())
