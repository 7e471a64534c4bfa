"""Descriptions of chips: those of the package are as published, others are read strictly."""

import re
from pathlib import Path

import pytest
import yaml

from snnb.core.errors import InputError
from snnb.mapping.hardware import Hardware, descriptions, hardware_names, layer_descriptions, read_hardware

CHIP = {
    "name": "chip",
    "mesh": [3, 2],
    "neurons_per_core": 10,
    "axons_per_core": 20,
    "energy_pj": {"router": 1, "link": 0.5},
    "latency_ns": {"router": 2.0, "link": 3.0},
    "source": "a test",
}
SOURCED = {"sources": {"tile": "a test"}}


@pytest.mark.parametrize(
    ("name", "mesh", "neurons", "axons", "energy", "latency"),
    [
        ("loihi_64x64", (64, 64), 1024, 4096, (1.7, 3.5), (2.1, 5.3)),
        ("jin_84x84", (84, 84), 4096, 65536, (1.0, 0.1), (1.0, 0.01)),
        ("jin_1024x1024", (1024, 1024), 4096, 65536, (1.0, 0.1), (1.0, 0.01)),
        ("truenorth", (64, 64), 256, 256, (1.7, 3.5), (2.1, 5.3)),
        ("spinemap_5x5", (5, 5), 128, 128, (1.7, 3.5), (2.1, 5.3)),
    ],
)
def test_the_descriptions_of_the_package(name, mesh, neurons, axons, energy, latency):
    chip = read_hardware(name)
    assert (chip.name, chip.mesh, chip.cores) == (name, mesh, mesh[0] * mesh[1])
    assert (chip.neurons_per_core, chip.axons_per_core, chip.synapses_per_core) == (neurons, axons, None)
    assert (chip.energy_pj.router, chip.energy_pj.link, chip.energy_pj.synapse) == (*energy, None)
    assert (chip.latency_ns.router, chip.latency_ns.link) == latency
    assert len(chip.source) > 50


def test_loihi_has_limits_and_figures_of_all_events():
    chip = read_hardware("loihi")
    assert (chip.mesh, chip.tile, chip.chip, chip.routers) == ((16, 8), (2, 2), (16, 8), (8, 4))
    assert (chip.neurons_per_core, chip.axons_per_core, chip.axons_out_per_core) == (1024, 4096, 4096)
    memory = chip.synapse_memory
    assert (memory.bits_per_core, memory.weight_bits, memory.index_bits, memory.sharing) == (2**20, 9, 10, "kernel")
    assert None not in [value for name, value in chip.time_ns if name not in ("link", "between_chips")]
    assert [chip.time_ns.barrier_of(tiles) for tiles in (1, 28, 29)] == [600, 1400, 1800]


def test_they_are_listed_from_small_to_large():
    found = descriptions()
    assert sorted([*found, *layer_descriptions()]) == list(hardware_names())
    assert [chip.cores for chip in found.values()] == sorted(chip.cores for chip in found.values())
    assert next(iter(found)) == "spinemap_5x5"


def test_the_page_shows_every_key():
    page = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text()
    required, optional = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[:2])
    assert read_keys(Hardware.model_validate(required)) == set(required)
    every = {**required, **optional}
    assert {*every} == {*Hardware.model_fields}
    del every["latency_ns"]  # `time_ns` is in its place
    chip = Hardware.model_validate(every)
    assert read_keys(chip.synapse_memory) == {*type(chip.synapse_memory).model_fields}
    assert read_keys(chip.time_ns) == {*type(chip.time_ns).model_fields} - {"link"}


def read_keys(model):
    return {name for name, value in model if value is not None}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"neurons_per_core": 0}, "neurons_per_core: Input should be greater than or equal to 1"),
        ({"axons_per_core": 2.5}, "axons_per_core: Input should be a valid integer"),
        ({"mesh": [4]}, "mesh.1: Field required"),
        ({"mesh": [40_000, 40_000]}, "mesh.0: Input should be less than or equal to 32768, mesh.1: Input should be"),
        ({"mesh": "4x4"}, "mesh: Input should be a valid tuple"),
        ({"neurons": 10}, "neurons: Extra inputs are not permitted"),
        ({"energy_pj": {"router": 1, "wire": 2}}, "energy_pj.wire: Extra inputs are"),
        ({"energy_pj": {"router": -1, "link": 1}}, "energy_pj.router: Input should be greater"),
        ({"energy_pj": {"router": float("nan"), "link": 1}}, "energy_pj.router: Input should be"),
        ({"name": "a b"}, "name: String should match"),
        ({"energy_pj": {"router": 1}}, "energy_pj: give link, or link_x and link_y"),
        ({"energy_pj": {"router": 1, "link_x": 1}}, "energy_pj: give link, or link_x and link_y"),
        ({"energy_pj": {"router": 1, "link": 1, "spike": 2}}, "energy_pj: no source; name it under sources"),
        ({"tile": [1, 1], "chip": [3, 2]}, "tile, chip: no source; name it under sources"),
        ({"tile": [2, 1], **SOURCED}, r"mesh: 3 × 2 cores are not a multiple of the tile's, (2, 1)"),
        ({"chip": [2, 2], **SOURCED}, r"mesh: 3 × 2 cores are not a multiple of the chip's, (2, 2)"),
        ({"chip": [1, 2], "tile": [3, 1]}, "chip: 1 × 2 cores are not a multiple of the tile's, (3, 1)"),
        ({"synapse_memory": {"weight_bits": 8}}, "synapse_memory.bits_per_core: Field required"),
        ({"synapse_memory": {"bits_per_core": 8}}, "synapse_memory.weight_bits: Field required"),
        ({"sources": {"tile": "a test"}}, "sources: there are no figures tile that need one"),
        ({"latency_ns": None}, "give latency_ns or time_ns, one of them"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(tmp_path, changed, message):
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump({**CHIP, **changed}))
    with pytest.raises(InputError) as raised:
        read_hardware(str(path))
    assert str(raised.value).startswith(f"{path}: {message}")
    assert str(raised.value).endswith("docs/mapping.md shows a description with all its keys")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it holds no keys"),
        ("- 1\n- 2\n", "it holds no keys"),
        ("a: [", r"not valid YAML \(line 2"),
        ("1: 2\n", "Keys should be strings"),
    ],
)
def test_no_such_yaml(tmp_path, text, message):
    path = tmp_path / "chip.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_hardware(str(path))
