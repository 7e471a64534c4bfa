"""benchmarks/instances/grade.py against the package's cost of the same mapping, and at the edge of each limit."""

import importlib.util
import json
import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import InputError
from snnb.core.quantities import values
from snnb.mapping.cost import cost
from snnb.mapping.limits import overfull_cores
from snnb.mapping.map_network import cost_partition
from snnb.mapping.traffic import MappableNetwork, count_traffic
from tests.graph.listed_graphs import random_graph
from tests.graph.networks import graph_of
from tests.graph.test_pruned import prune_zeros, pruned_network
from tests.mapping.networks import NETWORKS, make_graph
from tests.mapping.test_cost import random_mapping
from tests.mapping.test_events import ENERGY, full_chip
from tests.network.test_recurrent import recurrent

FOLDER = Path(__file__).parents[2] / "benchmarks" / "instances"
CONSTRAINTS = sorted(FOLDER.glob("constraints/*.json"))
spec = importlib.util.spec_from_file_location("grade", str(FOLDER / "grade.py"))
grade = importlib.util.module_from_spec(spec)
spec.loader.exec_module(grade)
FIGURES = (
    "connectivity",
    "cut",
    "external_degrees",
    "overlap_mean",
    "overlap_geometric_mean",
)
FIGURES += ("hops_unicast", "hops_multicast", "energy_pj", "step_ns")


def built(network, folder, coding):
    random, senders = np.random.default_rng(5), (network.input, *network.populations)
    counts = {
        v.name: random.integers(0, 9, v.shape) * random.integers(0, 2, v.shape)
        for v in senders
    }
    return graph_of(network, folder, counts, {"input": coding})


def build_separated(folder):
    """Populations that fire in windows, some of them from an initial potential."""
    network, populations = pruned_network(), []
    for number, population in enumerate(network.populations):
        start = np.full(population.shape[-1], number % 2 / 2, np.float32)
        window = (7 * number, 7 * number + 7)
        populations.append(
            replace(population, window=window, initial_potential=start, bias=0 * start)
        )
    return built(network.with_populations(populations), folder, "spikes")


def build_renumbered(folder):
    """Weights whose bits differ by small numbers, as those of instances do."""
    network = pruned_network()

    def renumber(projection):
        if projection.kernel is None:
            return projection
        bits = 2 * np.arange(projection.kernel.size, dtype=np.int32) + np.float32(
            1
        ).view(np.int32)
        return replace(
            projection, kernel=bits.view(np.float32).reshape(projection.kernel.shape)
        )

    populations = [
        replace(p, projections=tuple(map(renumber, p.projections)))
        for p in network.populations
    ]
    return built(network.with_populations(populations), folder, "current")


GRAPHS = {
    "convolutions": lambda folder: make_graph(NETWORKS["chained"](), folder),
    "concatenated": lambda folder: make_graph(NETWORKS["branched"](), folder, "spikes"),
    "every layer": lambda folder: make_graph(NETWORKS["varied"](), folder),
    "residual": lambda folder: make_graph(NETWORKS["summed"](), folder, "spikes"),
    "pruned": lambda folder: built(
        prune_zeros(pruned_network(), 0.8), folder, "current"
    ),
    "separated": build_separated,
    "numbered weights": build_renumbered,
    "recurrent with delays": lambda folder: built(recurrent(), folder, "spikes"),
    "listed": lambda folder: random_graph(
        folder / "graph.h5", 3, inputs=2, codings=("current", "spikes")
    )[0],
}


@pytest.fixture(params=GRAPHS)
def graph(request, tmp_path):
    with GRAPHS[request.param](tmp_path) as graph_made:
        yield graph_made


def assert_equal_costs(graph, hardware, core, place, chip):
    network, opened_graph = MappableNetwork.of(graph), grade.Graph(graph.path)
    expected_cost = cost(count_traffic(network, core, len(place)), hardware, place)
    value_of = {**values(expected_cost), "energy_pj": expected_cost.energy.picojoules}
    figures, fullest, violations = grade.grade(opened_graph, chip, core, place)
    for name in FIGURES:
        theirs = value_of.get(name)
        assert (name in figures) == (theirs is not None), name
        assert theirs is None or figures[name] == pytest.approx(theirs, rel=1e-12), name
    contents = grade.measure(opened_graph, core, chip, place)[1]
    for name, numbers in expected_cost.contents.items():
        assert contents[name].tolist() == numbers.tolist(), name
    most_contents = {
        name: numbers.max()
        for name, numbers in expected_cost.contents.items()
        if name in fullest
    }
    assert {
        name: fullest_core["contents"] for name, fullest_core in fullest.items()
    } == most_contents
    exceeded_names = {
        name
        for name, cores in overfull_cores(expected_cost.contents, hardware).items()
        if cores.size
    }
    assert {text.split()[1] for text in violations} == exceeded_names & {*fullest}
    assert bool(violations) == bool(exceeded_names)


def test_figures_and_contents_are_those_of_the_package(graph, monkeypatch):
    monkeypatch.setattr(grade, "EDGES", 100)
    monkeypatch.setattr(grade, "LISTS", 70)
    network, random = MappableNetwork.of(graph), np.random.default_rng(1)
    cores = min(9, network.neurons)
    for path in CONSTRAINTS:
        hardware, chip = read_hardware(str(path)), grade.read_constraints(path.stem)
        core, place = random_mapping(network, random, cores, hardware.mesh)
        assert_equal_costs(graph, hardware, core, place, chip)
        assert_equal_costs(graph, hardware, np.sort(core), place, chip)


@pytest.mark.parametrize(
    "ports",
    [[(7, 2)], [(0, 0), (7, 7)], [(x, y) for x in range(8) for y in (0, 7)]],
    ids=["one", "two", "two edges"],
)
@pytest.mark.parametrize("tile", [None, (2, 2)])
def test_messages_from_ports(graph, ports, tile):
    energy = {**ENERGY, "between_chips": 50.0}
    hardware = full_chip(tile=tile, chip=(4, 4), energy_pj=energy, input_ports=ports)
    chip = hardware.model_dump(mode="json", exclude_none=True)
    network = MappableNetwork.of(graph)
    core, place = random_mapping(network, np.random.default_rng(1), 4, (8, 8))
    assert_equal_costs(graph, hardware, core, place, chip)


def test_unavailable_cores_are_violations(tmp_path):
    hardware = full_chip(mesh=(2, 2), tile=None, chip=None, unavailable=[(0, 1)])
    chip = hardware.model_dump(mode="json", exclude_none=True)
    with make_graph(NETWORKS["chained"](), tmp_path) as graph:
        opened_graph = grade.Graph(graph.path)
        neurons = MappableNetwork.of(graph).neurons
    core = np.arange(neurons) % 3
    place = np.array([(0, 0), (0, 1), (1, 1)])
    _, _, violations = grade.grade(opened_graph, chip, core, place)
    assert violations[0] == "core 1 is at [0, 1], which is unavailable"
    _, _, violations = grade.grade(opened_graph, chip, np.arange(neurons) % 4)
    assert violations == ["core 3 is not one of the 3, which are numbered from 0"]


def test_other_keys_of_a_description(graph):
    """Links between chips, memory that is not shared, a limit of synapses, small tiles, a barrier of one figure."""
    energy = {
        "router": 1.7,
        "link": 3.5,
        "between_chips": 50.0,
        "synapse": 2.0,
        "axon_in": 0.5,
    }
    time = {
        "router": 2.1,
        "link_x": 4.1,
        "link_y": 6.5,
        "barrier": 300.0,
        "synapse": 3.8,
        "spike": 30.0,
    }
    memory = {"bits_per_core": 900, "weight_bits": 9, "sharing": "none"}
    hardware = full_chip(
        tile=None,
        chip=[2, 4],
        synapse_memory=memory,
        energy_pj=energy,
        time_ns=time,
        synapses_per_core=100,
    )
    network = MappableNetwork.of(graph)
    core, place = random_mapping(
        network, np.random.default_rng(2), min(20, network.neurons), hardware.mesh
    )
    assert_equal_costs(
        graph,
        hardware,
        core,
        place,
        json.loads(hardware.model_dump_json(exclude_none=True)),
    )


class Case:
    """A mapping whose contents are at each limit, as files, and what both programs say of it."""

    def __init__(self, graph, folder):
        self.graph = graph
        self.folder = folder
        self.network = MappableNetwork.of(graph)
        self.core = random_mapping(self.network, np.random.default_rng(4), 6, (3, 2))[0]
        self.place = [[n // 2, n % 2] for n in range(6)]
        contents = cost(
            count_traffic(self.network, self.core, 6), full_chip(), np.array(self.place)
        ).contents
        self.limits = {name: int(numbers.max()) for name, numbers in contents.items()}

    def judge(self, **changes):
        """Violations that grade.py prints with exit status 1, [] with exit status 0; snnb has to agree."""
        limits = {**self.limits, **changes}
        memory = {
            "bits_per_core": limits["memory_bits"],
            "weight_bits": 9,
            "index_bits": 10,
            "sharing": "kernel",
        }
        core_limits = {f"{name}_per_core": limits[name] for name in grade.LIMITS}
        hardware = full_chip(
            mesh=[3, 2], tile=None, chip=None, synapse_memory=memory, **core_limits
        )
        (self.folder / "chip.json").write_text(
            hardware.model_dump_json(exclude_none=True)
        )
        core, place = changes.get("core", self.core), changes.get("place", self.place)
        (self.folder / "parts.txt").write_text(
            "".join(f"{one_core}\n" for one_core in core)
        )
        (self.folder / "places.txt").write_text("".join(f"{x} {y}\n" for x, y in place))
        status, out, _ = self.run("parts.txt", "places.txt", "--json")
        document = json.loads(out)
        assert (status, document["valid"]) == (
            (1, False) if document["violations"] else (0, True)
        )
        chip = read_hardware(str(self.folder / "chip.json"))
        try:
            cost_partition(
                self.network,
                chip,
                self.folder / "parts.txt",
                self.folder / "places.txt",
            )
            assert not document["violations"]
        except InputError:
            assert document["violations"]
        return document["violations"]

    def run(self, partition, placement, *options):
        command = [
            "grade",
            self.graph.path,
            self.folder / partition,
            "--placement",
            self.folder / placement,
        ]
        command += ["--constraints", self.folder / "chip.json", *options]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", [*map(str, command)])
            status = grade.main()
        return (status, *self.read())


@pytest.fixture
def case(tmp_path, capsys):
    with GRAPHS["residual"](tmp_path) as graph:
        case = Case(graph, tmp_path)
        case.read = capsys.readouterr
        yield case


def test_what_exceeds_a_limit_by_one_is_reported_and_what_is_at_it_is_not(case):
    assert case.judge() == []
    for name, limit in case.limits.items():
        (text,) = case.judge(**{name: limit - 1})
        assert text.startswith(f"{limit} {name} of {limit - 1} in core ")


def test_wrong_cores_and_places_are_reported(case):
    beyond = np.where(
        np.arange(case.core.size) == np.argmax(case.core == 5), 6, case.core
    )
    assert (
        case.judge(core=beyond)[0]
        == "core 6 is not one of the 6, which are numbered from 0"
    )
    assert case.judge(core=case.core[1:])[0].startswith(
        f"{case.core.size - 1} lines in the partition"
    )
    inputs = [0] * case.network.first
    assert case.judge(core=[*inputs, *case.core]) == []
    assert case.judge(place=case.place[:5]) == ["5 lines in the placement, and 6 cores"]
    assert case.judge(place=[*case.place[:5], [0, 0]]) == ["two cores at one place"]
    for outside in ([3, 0], [2, 2]):
        assert case.judge(place=[*case.place[:5], outside]) == [
            "core 5 is not on the mesh of 3 x 2"
        ]


def test_an_unknown_instance_is_refused_with_the_known_ones(monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["grade", "lenet", "parts.txt", "--constraints", "neurons_32"]
    )
    assert grade.main() == 2
    message = "lenet is no file and no instance; the instances are autoencoder_mnist, lenet_poisson,"
    assert message in capsys.readouterr().err


def test_compressed_files_and_files_that_cannot_be_read(case):
    case.judge()
    _, expected_output, _ = case.run("parts.txt", "places.txt")
    assert expected_output.endswith("valid\n")
    (case.folder / "parts.xz").write_bytes(
        lzma.compress((case.folder / "parts.txt").read_bytes())
    )
    (case.folder / "places.xz").write_bytes(
        lzma.compress((case.folder / "places.txt").read_bytes())
    )
    assert case.run("parts.xz", "places.xz")[:2] == (0, expected_output)
    for text, wrong in (("1\n2\n-1\n2\n", "line 3: '-1'"), ("1\n\n2\n", "line 2: ''")):
        (case.folder / "words.txt").write_text(text)
        status, _, errors = case.run("words.txt", "places.txt")
        assert (status, f"words.txt, {wrong} is not 1 whole number(s)" in errors) == (
            2,
            True,
        )
    assert case.run("none.txt", "places.txt")[0] == 2
    with pytest.raises(
        ValueError,
        match=r"^axons is no file and no constraints; the constraints are axons_1024, ",
    ):
        grade.read_constraints("axons")
    chip = json.loads((case.folder / "chip.json").read_text())
    wrong = {
        **chip,
        "axons_per_core": None,
        "weights_per_core": 3,
        "energy_pj": {"router": 1, "x": 2},
    }
    (case.folder / "chip.json").write_text(json.dumps(wrong))
    errors = case.run("parts.txt", "places.txt")[2]
    assert (
        "unknown or missing keys: axons_per_core, energy_pj.x, weights_per_core"
        in errors
    )
    (case.folder / "chip.json").write_text(json.dumps(chip))
    with case.graph.path.open("r+b") as file:
        file.seek(5000)
        file.write(b"xxxx")
    assert "SHA-256" in case.run("parts.txt", "places.txt")[2]


def test_each_instance_has_results_and_the_command_of_its_recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    table, make = importlib.import_module("table"), importlib.import_module("make")
    instances = {
        document["name"]: document
        for document in (
            json.loads(path.read_text()) for path in table.INSTANCES.glob("*.json")
        )
    }
    assert instances.keys() == make.RECIPES.keys()
    for name, document in instances.items():
        assert (make.RECIPES[name].version, make.command(make.RECIPES[name])) == (
            document["version"],
            document["recipe"],
        )
    cases = table.by_case(table.read_csv())
    assert {*cases} == {
        (name, constraints)
        for name, document in instances.items()
        for constraints in document["constraints"]
    }
    for name, constraints in cases:
        files = {path.name for path in (table.RESULTS / name).glob(f"{constraints}.*")}
        assert files == {
            f"{constraints}.{kind}" for kind in ("json", "parts.xz", "places.xz")
        }


@pytest.mark.parametrize("name", ["mini_network", "lenet_t16"])
def test_the_stored_mappings_and_the_tables_of_the_page_are_those_of_the_csv_file(
    name, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(str(FOLDER))
    table = importlib.import_module("table")
    monkeypatch.setattr("sys.argv", ["table", name, "--check"])
    table.main()
    assert capsys.readouterr().out.count(name) == 3
    rows = table.read_csv()
    case, by_method = next(
        one_case for one_case in table.by_case(rows).items() if one_case[0][0] == name
    )
    stored = json.loads(table.result_of(*case).read_text(encoding="utf-8"))
    by_method[stored["method"]]["hops_unicast"] *= 1.01
    with pytest.raises(
        SystemExit,
        match=f"{case[1]}.json: hops_unicast is .* by grade.py and .* by instances.csv",
    ):
        table.check(table.Graph(table.INSTANCES / f"{name}.h5"), *case, by_method)
