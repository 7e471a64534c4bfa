"""Descriptions of chips: those of the package are as published, others are read strictly."""

import json
import re
from pathlib import Path
from random import Random

import pytest
import yaml

from snnb.chips.hardware import Hardware
from snnb.chips.read_hardware import (
    DESCRIPTIONS,
    descriptions,
    hardware_names,
    layer_descriptions,
    read_hardware,
)
from snnb.cli.main import main
from snnb.core.errors import InputError

CHIP = {
    "name": "chip",
    "mesh": [3, 2],
    "neurons_per_core": 10,
    "axons_per_core": 20,
    "energy_pj": {"router": 1, "link": 0.5},
    "latency_ns": {"router": 2.0, "link": 3.0},
    "source": "a test",
}


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
    assert (chip.neurons_per_core, chip.axons_per_core, chip.synapses_per_core) == (
        neurons,
        axons,
        None,
    )
    assert (chip.energy_pj.router, chip.energy_pj.link, chip.energy_pj.synapse) == (
        *energy,
        None,
    )
    assert (chip.latency_ns.router, chip.latency_ns.link) == latency
    assert len(chip.source) > 50


def test_loihi_has_limits_and_figures_of_all_events():
    chip = read_hardware("loihi")
    assert (chip.mesh, chip.tile, chip.chip, chip.routers) == (
        (16, 8),
        (2, 2),
        (16, 8),
        (8, 4),
    )
    assert (chip.neurons_per_core, chip.axons_per_core, chip.axons_out_per_core) == (
        1024,
        4096,
        4096,
    )
    memory = chip.synapse_memory
    assert (
        memory.bits_per_core,
        memory.weight_bits,
        memory.index_bits,
        memory.sharing,
    ) == (2**20, 9, 10, "kernel")
    assert None not in [
        value
        for name, value in chip.time_ns
        if name not in ("link", "between_chips", "link_spike", "routing")
    ]
    assert [chip.time_ns.barrier_of(tiles) for tiles in (1, 28, 29)] == [
        600,
        1400,
        1800,
    ]


def test_they_are_listed_from_small_to_large():
    found_names = descriptions()
    assert sorted([*found_names, *layer_descriptions()]) == list(hardware_names())
    assert [chip.cores for chip in found_names.values()] == sorted(
        chip.cores for chip in found_names.values()
    )
    assert next(iter(found_names)) == "spinemap_5x5"


def test_the_page_shows_every_key():
    page = (Path(__file__).parents[2] / "docs" / "chips.md").read_text()
    required_keys, optional = (
        yaml.safe_load(block)
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[:2]
    )
    assert read_keys(Hardware.model_validate(required_keys)) == set(required_keys)
    all_keys = {**required_keys, **optional}
    assert {*all_keys} == {*Hardware.model_fields}
    del all_keys["latency_ns"]  # `time_ns` is in its place
    chip = Hardware.model_validate(all_keys)
    assert read_keys(chip.synapse_memory) == {*type(chip.synapse_memory).model_fields}
    assert read_keys(chip.time_ns) == {*type(chip.time_ns).model_fields} - {"link"}


@pytest.mark.parametrize("name", hardware_names())
def test_a_description_is_printed_to_start_from(tmp_path, capsys, name):
    assert main(["hardware", "--show", name]) == 0
    output = capsys.readouterr()
    (tmp_path / "mine.yaml").write_text(output.out, encoding="utf-8")
    assert read_hardware(str(tmp_path / "mine.yaml")) == read_hardware(name)
    assert yaml.safe_load(output.out) == yaml.safe_load(
        Path(DESCRIPTIONS, f"{name}.yaml").read_text()
    )
    assert output.err == ""
    assert main(["hardware", "--show", name, "--json"]) == 0
    (description,) = json.loads(capsys.readouterr().out)
    assert description["source"] == yaml.safe_load(output.out)["source"]


def test_comments_of_a_description_are_printed(tmp_path, capsys, monkeypatch):
    text = f"# a chip\n{yaml.safe_dump(CHIP)}tile: null  # none\n"
    (tmp_path / "chip.yaml").write_text(text)
    monkeypatch.setattr("snnb.chips.read_hardware.DESCRIPTIONS", tmp_path)
    assert main(["hardware", "--show", "chip"]) == 0
    assert capsys.readouterr().out == text


def test_only_descriptions_of_the_package_are_printed(capsys):
    assert main(["hardware", "--show", "../loihi.yaml"]) == 2
    assert (
        "--show ../loihi.yaml: no such description; there are jin_1024x1024, "
        in capsys.readouterr().err
    )


def read_keys(model):
    return {name for name, value in model if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axons_per_core": 2.5}, "axons_per_core: 2.5 is not an integer;"),
        ({"mesh": [4]}, "mesh.1: missing;"),
        ({"mesh": [4, 4, 4]}, "mesh: too many entries (at most 2);"),
        (
            {"mesh": [40_000, 40_000]},
            "mesh.0: 40000 is above 32768; mesh.1: 40000 is above 32768;",
        ),
        ({"mesh": "4x4"}, 'mesh: "4x4" is not a list;'),
        ({"neurons": 10}, "neurons: unknown key (did you mean neurons_per_core?);"),
        (
            {"synapse_memory": {"bit_per_core": 8, "weight_bits": 8}},
            "synapse_memory.bits_per_core: missing; synapse_me",
        ),
        (
            {"colour": 1},
            "colour: unknown key (the keys are name, mesh, tile, chip, input_ports, unavailable, neurons_per_core, ",
        ),
        (
            {"energy_pj": {"router": 1, "wire": 2}},
            "energy_pj.wire: unknown key (the keys are router, link, link_x, ",
        ),
        ({"energy_pj": {"router": -1, "link": 1}}, "energy_pj.router: -1 is below 0;"),
        ({"energy_pj": 3}, "energy_pj: 3 is not a mapping;"),
        (
            {"energy_pj": {"router": float("nan"), "link": 1}},
            "energy_pj.router: NaN is not a finite number;",
        ),
        (
            {"name": "a b"},
            'name: "a b" does not match the pattern ^[A-Za-z0-9_.-]{1,60}$;',
        ),
        ({"source": ""}, 'source: "" is too short (at least 1);'),
        (
            {"energy_pj": {"router": 1, "link_x": 1}},
            "energy_pj: give link, or link_x and link_y",
        ),
        (
            {"energy_pj": {"router": 1, "link": 1, "spike": 2}},
            "energy_pj: no source, name it under sources",
        ),
        (
            {"tile": [1, 1], "chip": [3, 2]},
            "tile, chip: no source, name it under sources",
        ),
        (
            {"chip": [2, 2]},
            r"mesh: 3 × 2 cores are not a multiple of the chip's, (2, 2)",
        ),
        (
            {"chip": [1, 2], "tile": [3, 1]},
            "chip: 1 × 2 cores are not a multiple of the tile's, (3, 1)",
        ),
        (
            {"synapse_memory": {"bits_per_core": 8}},
            "synapse_memory.weight_bits: missing",
        ),
        (
            {
                "synapse_memory": {
                    "bits_per_core": 8,
                    "weight_bits": 8,
                    "sharing": "all",
                }
            },
            'synapse_memory.sharing: "all" is',
        ),
        (
            {"time_ns": {"router": 1, "link": 1, "barrier": "x"}},
            'time_ns.barrier: "x" is not a number and "x" is not a ',
        ),
        (
            {"time_ns": {"router": 1, "link": 1, "barrier": {1: "x", 2: 3}}},
            'time_ns.barrier.1: "x" is not a number;',
        ),
        (
            {"time_ns": {"router": 1, "link": 1, "barrier": {}}},
            "time_ns.barrier: a mapping is not a number and too few entries",
        ),
        (
            {"time_ns": {"router": 1, "link": 1, "barrier": {True: 2.0}}},
            "time_ns.barrier: true is not a number",
        ),
        (
            {"time_ns": {"router": 1, "link": 1, "barrier": {1.5: 2, 3: -1}}},
            "time_ns.barrier.1.5: 1.5 is not an integer; time_ns.barrier.3: -1 is below 0;",
        ),
        (
            {
                "neurons_per_core": 0,
                "axon_per_core": 2,
                "source": None,
                "energy_pj": {"router": True},
            },
            "neurons_per_core: 0 is below 1; energy_pj.router: true is not a number; source: null is not text; "
            "axon_per_core: unknown key (did you mean axons_per_core?); `snnb",
        ),
        (
            {"tile": [2, 1], "latency_ns": None, "sources": {"mesh": "a test"}},
            "mesh: 3 × 2 cores are not a multiple of the tile's, (2, 1); give latency_ns or time_ns, one of them; "
            "tile: no source, name it under sources; sources: there are no figures mesh that need one; `snnb",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(tmp_path, changes, message):
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump({**CHIP, **changes}))
    with pytest.raises(InputError) as error_info:
        read_hardware(str(path))
    assert str(error_info.value).startswith(f"{path}: {message}")
    assert str(error_info.value).endswith(
        "; `snnb hardware --show loihi` prints a valid description"
    )
    assert "\n" not in str(error_info.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it holds no keys"),
        ("- 1\n- 2\n", "it holds no keys"),
        ("a: [", r"not valid YAML \(line 2"),
        ("1: 2\n", "1: a key that is not text"),
        ("mesh: [1:30, 2]\n", "line 1: 1:30 is a number in base 60 in YAML 1.1"),
        ("? [1, 2]\n: 3\n", "not valid YAML"),
        ("a: 2026-13-45\n", "a number, date or key that YAML does not allow"),
    ],
)
def test_no_such_yaml(tmp_path, text, message):
    path = tmp_path / "chip.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_hardware(str(path))


def places_in(value, place=()):
    """Yield the keys and indices of all values in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*place, key)
        if isinstance(item, (dict, list)):
            yield from places_in(item, (*place, key))


def test_fifty_damaged_descriptions_are_refused_by_name(tmp_path):
    """No value of a description may be true, negative, a mapping of x, or NaN."""
    damages = (True, -1, {"x": 1}, float("nan"), [[]])
    cases = []
    for name in ("loihi", "loihi_32_chips", "speck2f", "truenorth"):
        content = yaml.safe_load((DESCRIPTIONS / f"{name}.yaml").read_text())
        places = list(places_in(content))
        cases += [(name, place, damage) for place in places for damage in damages]
    for number, (name, place, damage) in enumerate(Random(0).sample(cases, 50)):
        content = yaml.safe_load((DESCRIPTIONS / f"{name}.yaml").read_text())
        parent = content
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = damage
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(InputError, match=str(path)) as error_info:
            read_hardware(str(path))
        assert error_info.value.exit_code == 3
        for word in ("Error", "NoneType", "not supported", "__"):
            assert word not in str(error_info.value)


def test_a_description_of_many_ports_is_refused_unread(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(json.dumps({**CHIP, "input_ports": [[1, 1]] * 300_000}))
    with pytest.raises(InputError, match="a description of hardware has at most"):
        read_hardware(str(path))
