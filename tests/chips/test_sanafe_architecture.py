"""Architectures of SANA-FE, read as descriptions and written; tests/formats/test_sanafe.py compares costs."""

import pytest
import yaml

from snnb.chips.read_hardware import descriptions, read_hardware
from snnb.chips.sanafe_architecture import architecture_file
from snnb.core.errors import InputError


def architecture():
    """2 × 2 tiles of two cores each, all of whose figures differ."""
    hops = {"north": 4.2, "south": 4.2, "east": 3.0, "west": 3.0}
    tile = {f"energy_{way}_hop": pj * 1e-12 for way, pj in hops.items()}
    tile.update({f"latency_{way}_hop": ns * 1.5e-9 for way, ns in hops.items()})
    units = {
        "axon_in": ({}, {"message_in": (0.7, 16.0)}),
        "synapse": ({"model": "current_based"}, {"process_spike": (35.5, 3.8)}),
        "dendrite": ({"model": "accumulator"}, {"update": (0.3, 0.2)}),
        "soma": (
            {"model": "truenorth"},
            {
                "access_neuron": (51.2, 6.0),
                "update_neuron": (21.6, 3.7),
                "spike_out": (69.3, 30.0),
            },
        ),
        "axon_out": ({}, {"message_out": (111.0, 5.1)}),
    }
    core = {
        "name": "core[0..1]",
        "attributes": {"buffer_position": "soma", "buffer_inside_unit": False},
    }
    core["attributes"]["max_neurons_supported"] = 1024
    for name, (model, costs) in units.items():
        energy = {f"energy_{event}": pj * 1e-12 for event, (pj, _) in costs.items()}
        latency = {f"latency_{event}": ns * 1e-9 for event, (_, ns) in costs.items()}
        core[name] = [{"name": name, "attributes": {**model, **energy, **latency}}]
    noc = {
        "topology": "mesh",
        "width": 2,
        "height": 2,
        "link_buffer_size": 16,
        "sync_model": "table",
    }
    noc["latency_sync"] = {1: 0.6e-6, 3: 1.0e-6, 5: 1.4e-6}
    return {
        "architecture": {
            "name": "four tiles",
            "attributes": noc,
            "tile": [{"name": "tile[0..3]", "attributes": tile, "core": [core]}],
        }
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "four_tiles.yaml"
    path.write_text(yaml.safe_dump(architecture()))
    return path


def test_figures_of_an_architecture(file):
    chip = read_hardware(str(file))
    assert (chip.name, chip.mesh, chip.tile, chip.routers) == (
        "four_tiles",
        (4, 2),
        (2, 1),
        (2, 2),
    )
    assert (chip.neurons_per_core, chip.axons_out_per_core, chip.synapse_memory) == (
        1024,
        None,
        None,
    )
    energy = {name: value for name, value in chip.energy_pj if value is not None}
    assert energy == {
        "router": 0,
        "link_x": 3.0,
        "link_y": 4.2,
        "synapse": 35.8,
        "neuron_inactive": 51.2,
        "neuron_active": 72.8,
        "spike": 69.3,
        "axon_out": 111,
        "axon_in": 0.7,
    }
    assert (
        chip.time_ns.neuron_active,
        chip.time_ns.synapse,
        chip.time_ns.barrier[3],
    ) == (9.7, 4.0, 1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda arch: arch.pop("tile"),
            "as an architecture of SANA-FE it lacks 'tile'",
        ),
        (
            lambda arch: arch["tile"].append(arch["tile"][0]),
            "2 kinds of tiles or cores; all must be equal",
        ),
        (
            lambda arch: arch["attributes"].update(height=3),
            "4 tiles do not fill columns of a mesh of 2 × 3",
        ),
        (
            lambda arch: arch["attributes"].update(height=0),
            "4 tiles do not fill columns of a mesh of 2 × 0",
        ),
        (
            lambda arch: arch["tile"][0]["core"][0].update(name="core[1..0]"),
            "core[1..0] stands for no tile or core",
        ),
        (
            lambda arch: arch["tile"][0].update(name=f"tile[0..{10**400}]"),
            "or for more than 1,073,741,824",
        ),
        (
            lambda arch: arch["tile"][0]["attributes"].update(energy_west_hop=1.0),
            "energy_east_hop and energy_west_hop",
        ),
        (
            lambda arch: arch["tile"][0]["core"][0].update(soma=[]),
            "list index out of range",
        ),
        (lambda arch: arch.update(attributes=None), "object is not subscriptable"),
    ],
)
def test_what_a_description_cannot_state_is_one_line(tmp_path, change, message):
    data = architecture()
    change(data["architecture"])
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(InputError) as error_info:
        read_hardware(str(path))
    assert message in str(error_info.value)
    assert "\n" not in str(error_info.value)


@pytest.mark.parametrize("name", descriptions())
def test_a_written_description_is_read_as_it_was(tmp_path, name):
    hardware = read_hardware(name)
    path = tmp_path / "written.yaml"
    path.write_text(yaml.safe_dump(architecture_file(hardware), sort_keys=False))
    assert read_hardware(str(path)) == hardware


def test_a_written_architecture_has_the_figures_until_it_is_changed(tmp_path):
    """Read without the description that the file has too: all that SANA-FE has figures of."""
    hardware = read_hardware("loihi")
    content = architecture_file(hardware)
    content["architecture"]["tile"][0]["core"][0]["soma"][0]["attributes"][
        "energy_spike_out"
    ] = 70e-12
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    found_hardware = read_hardware(str(path))
    assert (
        found_hardware.mesh,
        found_hardware.tile,
        found_hardware.neurons_per_core,
    ) == (
        hardware.mesh,
        hardware.tile,
        1024,
    )
    assert found_hardware.energy_pj == hardware.energy_pj.model_copy(
        update={"spike": 70.0, "router": 0.0}
    )
    assert found_hardware.time_ns == hardware.time_ns.model_copy(update={"router": 0.0})
    assert (found_hardware.chip, found_hardware.synapse_memory) == (None, None)


def test_a_description_that_is_none_is_one_line(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump({**architecture(), "description": [1]}))
    with pytest.raises(InputError, match="not an architecture of SANA-FE"):
        read_hardware(str(path))
