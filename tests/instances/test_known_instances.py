"""The instances of the package: what their descriptions state, and how a run begins with one."""

import json
import runpy
from pathlib import Path

import pytest
from write_instance import hyperedges_sha256, traffic

from snnb import Run, SynapseGraph
from snnb.cli.main import main
from snnb.instances.known_instances import find_instance, instances
from snnb.io.files import sha256_of

MAKE = Path(__file__).parents[2] / "benchmarks" / "instances" / "make.py"
SIZE = 2_000_000  # synapses of the largest one that is read


def test_descriptions_agree_with_the_files():
    assert len(instances()) > 1
    for instance in instances():
        assert instance.sha256 == sha256_of(instance.path)
        if instance.synapses > SIZE:
            continue
        with SynapseGraph.open(instance.path) as graph:
            neurons, nodes = graph.number_of_neurons(), graph.number_of_nodes()
            assert (instance.inputs, instance.neurons, instance.synapses) == (
                nodes - neurons,
                neurons,
                graph.number_of_edges(),
            )
            assert (instance.pictures, instance.steps) == (
                graph.recording.num_samples,
                graph.recording.num_timesteps,
            )
            assert (instance.spikes, instance.sha256_hyperedges) == (
                traffic(graph),
                hyperedges_sha256(graph),
            )


def test_a_run_of_an_instance(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert (
        main(["graph", "--from", "instance:mini_network", "--run-dir", "runs/x"]) == 0
    )
    instance = find_instance("mini_network")
    run = Run(path="runs/x")
    record = run.graphs["imported"].record
    assert str(record.params.from_file) == f"instance:{instance.name}"
    assert [(Path(file.path).name, file.sha256) for file in record.inputs] == [
        (f"{instance.name}.h5", instance.sha256)
    ]
    assert (run.graphs["imported"].directory / "mini_network_graph.h5").exists()
    capsys.readouterr()
    assert main(f"graph --from instance:{instance.name} --run-dir runs/x".split()) == 0
    assert "up to date" in capsys.readouterr().out
    assert (
        main(["map", "runs/x", "--hardware", "spinemap_5x5", "--method", "sequential"])
        == 0
    )
    for name in ("hmetis", "metis", "snn", "csv", "npz", "sonata"):
        assert main(f"export runs/x --format {name} --output out_{name}".split()) == 0
    assert main(["report", "runs/x"]) == 0
    assert (
        f"{instance.name}.h5 (SHA-256 {instance.sha256})"
        in Path("runs/x/report.html").read_text()
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mini_network", "spiking_digits"])
def test_the_recipe_makes_the_same_file(name, tmp_path):
    """From the recorded network on."""
    made_namespace = runpy.run_path(str(MAKE))["make"](
        name, tmp_path / "run", None, tmp_path / "made.h5"
    )
    assert json.loads(made_namespace.model_dump_json()) == json.loads(
        find_instance(name).model_dump_json()
    )
