"""What runs again and what does not: options given again, altered inputs, options that do not fit any more."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

from snnb import Run
from snnb.core.errors import InputError, UpstreamError, UsageError
from snnb.results.compare import compare
from snnb.results.verify import verify_run
from snnb.rundir.manifest import SEAL, sealed
from snnb.stages import train
from snnb.stages.all import STAGES
from snnb.stages.command_options import CommandOptions, read_options
from snnb.stages.open_run import open_or_create, open_run
from snnb.stages.run_stages import bring_up_to_date
from snnb.stages.simulate import SimulateParams
from snnb.stages.states import state_of_stages
from tests.rundir.test_manifest import alter_in_secret

QUICK = {"epochs": 1, "steps_per_epoch": 2}


def stale(path):
    """Return the reason of each stale result of a run, by stage or directory."""
    return {
        state.name: state.reason
        for state in state_of_stages(open_run(Path(path)))
        if state.reason
    }


def test_the_same_settings_given_again_are_up_to_date_and_one_of_several_keeps_the_others(
    run,
):
    assert train.STAGE.resolve(run, {}).settings == {"filters": (4, 8)}

    def is_selected(stage, **given):
        return stage.select(
            run, stage.resolve(run, {**run.record_of(stage.name).options, **given})
        )

    assert is_selected(train.STAGE, settings={"filters": (4, 8)}) == (None, None)
    reason = "settings: {'filters': (4, 8)} → {'filters': (3, 4)}"
    assert is_selected(train.STAGE, settings={"filters": (3, 4)}) == (None, reason)
    assert is_selected(STAGES["prepare"], seed=0, data_dir=run.path) == (
        None,
        None,
    )  # nothing it is made of


def test_an_input_altered_with_size_and_time_kept_is_made_again_and_never_recorded_under_its_old_hash(
    run,
):
    path = run.path / "dataset" / "x_train.npy"
    whole_content = path.read_bytes()
    assert stale(run.path) == {}  # its hash is in the cache now
    alter_in_secret(path)
    outcomes = Run(path=run.path).directory
    with outcomes.locked():
        ran = bring_up_to_date(outcomes, "train", {"train": QUICK}, force=True)
    assert [o.stage for o in ran if o.reason] == ["prepare", "train"]
    recorded_hashes = {
        file.path: file.sha256 for file in open_run(run.path).record_of("train").inputs
    }
    assert (
        recorded_hashes["dataset/x_train.npy"]
        == hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert path.read_bytes() == whole_content


def test_what_was_made_of_a_stale_training_is_stale_to_the_mapping(run):
    face = Run(path=run.path)
    face.graph(weights_only=True)
    mapped_name = face.map(hardware="spinemap_5x5", method="sequential").directory.name
    assert stale(run.path) == {}
    stamp = next(iter(run.records_of("simulate")))
    manifest = yaml.safe_load((run.path / "manifest.yaml").read_text())
    manifest["stages"]["train"]["inputs"][0]["sha256"] = "0" * 64
    (run.path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))
    stale_results = stale(run.path)
    assert stale_results.pop("train") == "dataset/x_train.npy has changed"
    assert stale_results == {
        "parse": "train has to run first",
        f"simulations/{stamp}": "train has to run first",
        "graphs/weights": "train has to run first",
        f"graphs/{stamp}": f"simulations/{stamp} is stale",
        f"maps/{mapped_name}": f"simulations/{stamp} is stale",
    }


def test_a_networkx_file_that_is_left_out_is_named(run):
    said = []
    made_graph = Run(path=run.path, say=said.append).graph(networkx_limit=4089)
    refusal = "graph: networkx file not written: 4,090 nodes and edges are more than --networkx-limit 4,089; open"
    assert any(message.startswith(refusal) for message in said)
    assert not (made_graph.directory / "graph").exists()


def test_a_simulation_is_named_by_stamp_or_by_its_path_in_this_run(run, tmp_path):
    stamp = next(iter(run.records_of("simulate")))
    other_folder = shutil.copytree(run.path, tmp_path / "other")
    for named_stamp in (stamp, str(run.path / "simulations" / stamp)):
        assert Run(path=run.path).graph(simulation=named_stamp).directory.name == stamp
    with pytest.raises(UsageError, match="not in"):
        Run(path=run.path).graph(simulation=str(other_folder / "simulations" / stamp))


def test_options_of_a_simulation_do_not_follow_into_the_next(run):
    """The recorded simulation has `--record-spikes 2`, which is not valid with one sample."""
    python = Run(path=run.path)
    params = python.simulate(samples=1, duration=5, engine="event").record.params
    assert (params.samples, params.record_spikes) == (1, 0)
    with pytest.raises(UsageError, match="only --samples 1"):
        python.simulate(samples=1, record_spikes=2)


def test_own_samples_that_the_test_set_does_not_have_are_refused(run):
    """The recorded simulation has more samples, and its data set has changed."""
    manifest = yaml.safe_load((run.path / "manifest.yaml").read_text())
    manifest["stages"]["prepare"]["details"]["splits"]["test"]["shape"][0] = 40
    for record in manifest["stages"]["simulations"].values():
        record["inputs"][0]["sha256"] = "0" * 64
    (run.path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))
    python = Run(path=run.path)
    with pytest.raises(UsageError, match=r"the test set has 40; give at most that"):
        python.graph()
    assert python.simulate(duration=3, engine="event").record.params.samples == 40


def test_default_samples_follow_the_first_sample(run):
    """Of 360 samples."""
    python = Run(path=run.path)
    common = {"engine": "event", "duration": 3}
    numbers = [
        python.simulate(**common, **options).record.params.samples
        for options in (
            {"first": 300},
            {},
            {"first": 10},
            {"samples": 40, "first": 10},
        )
    ]
    assert numbers == [60, 360, 350, 40]


def test_options_are_printed_with_their_origin(run):
    said = []
    python = Run(path=run.path, say=said.append)
    python.parse(percentile=99, calibrate=8)
    python.prepare(limit=50)
    python.simulate(samples=20, engine="event")
    assert [line for line in said if "options:" in line] == [
        "parse: options: --percentile 99, --calibrate 8",
        "prepare: options: --limit 50",
        "train: recorded options: --epochs 8, --batch-size 16",
        "parse: recorded options: --percentile 99, --calibrate 8",
        "simulate: options: --samples 20, --engine event",
    ]
    stamp, record = max(open_run(run.path).records_of("simulate").items())
    assert record.params == SimulateParams(samples=20, duration=8, engine="event")
    (row,) = compare([f"{run.path}:{stamp}"])
    assert "seed" not in row.differs


PADDED = """
from tensorflow import keras
from tensorflow.keras import layers

def net(input_shape, num_classes):
    return keras.Sequential([
        layers.Conv2D(2, 3, activation="relu", input_shape=input_shape),
        layers.Conv2D(4, 3, padding="same"),
        layers.Conv2D(2, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(num_classes, activation="softmax"),
    ])
"""


def pad_arrays(folder):
    """Return a run of a model that pads a layer without activation, which `parse` refuses by default."""
    (folder / "net.py").write_text(PADDED)
    return open_or_create(f"{folder / 'net.py'}:net", folder / "run", "digits")


SMALL = {"prepare": {"limit": 60, "norm_samples": 20}, "train": QUICK}


def test_what_parse_will_refuse_is_not_trained(tmp_path):
    run = pad_arrays(tmp_path)
    with run.locked(), pytest.raises(
        InputError, match="pads the output of a layer without activation"
    ):
        bring_up_to_date(run, "parse", SMALL)
    assert not (run.path / "train").exists()


def test_more_samples_than_there_are_are_refused_before_training(tmp_path):
    run = open_or_create("mini_network", tmp_path / "run")
    with run.locked(), pytest.raises(UsageError, match="the test set has 360"):
        bring_up_to_date(run, "simulate", {"simulate": {"samples": 361}})
    assert not (run.path / "train").exists()


def test_a_file_that_is_cut_or_missing_is_seen_and_made_again(run):
    path = run.path / "parse" / "mini_network_parsed.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert stale(run.path)["parse"] == "parse/mini_network_parsed.h5 has been modified"
    path.unlink()
    with run.locked():
        with pytest.raises(
            UpstreamError,
            match=r"parse must run before graph \(parse/mini_network_parsed.h5 is missing",
        ):
            bring_up_to_date(run, "graph", {}, upstream=False)
        bring_up_to_date(run, "graph", {})
    assert verify_run(open_run(run.path)).problems == []
    assert "parse" not in stale(run.path)


def test_an_own_option_that_the_network_defines_now_is_left_out(run):
    python = Run(path=run.path)
    python.simulate(samples=5, threshold=2, engine="event")
    python.parse(weight_bits=4, calibrate=8)
    assert python.graph().record.details.simulation is not None
    simulated = open_run(run.path).record_of("simulate")
    assert simulated.options == {"samples": 5, "engine": "event"}
    assert simulated.params.threshold == 1


def test_options_of_poolings_that_the_network_does_not_have_are_warned_of(run):
    """A calibrated pooling is a convolution."""
    python = Run(path=run.path)
    parsed_result = python.parse(calibrate=8, max_pool="average")
    assert (
        "--max-pool average has no effect: the network has no max pooling"
        in parsed_result.record.warnings
    )
    built = python.graph(weights_only=True, pool_weight="one")
    assert built.record.warnings == [
        "--pool-weight one has no effect: the network has no average pooling"
    ]
    assert "weights of average pooling" not in (built.directory / "log.txt").read_text()


def test_an_option_of_one_stage_without_effect_is_refused_only_where_no_other_stage_uses_it(
    run,
):
    options_given = {"parse": {"calibrate": 8}, "simulate": {"initial_potential": 0.5}}
    with pytest.raises(UsageError, match="--initial-potential: a calibrated network"):
        CommandOptions.of(run, options_given)
    poisson = {"simulate": {"input_rate": 500, "input": "poisson"}}
    assert CommandOptions.of(run, poisson).given == poisson
    quantised_options = {
        "train": {"activation": "qcfs", "levels": 4},
        "parse": {"firing": "free"},
    }
    assert CommandOptions.of(run, quantised_options).given == quantised_options


def test_numbers_as_text_are_taken_as_on_the_command_line():
    options_given = {
        "train": {"epochs": "1", "learning_rate": "1e-2"},
        "prepare": {"source": "x"},
    }
    assert read_options(options_given) == {
        "train": {"epochs": 1, "learning_rate": 0.01},
        "prepare": {"source": Path("x").absolute()},
    }


def test_a_model_of_ones_own_from_python(tmp_path):
    (tmp_path / "net.py").write_text(PADDED)
    run = Run(
        f"{tmp_path / 'net.py'}:net",
        tmp_path / "run",
        dataset="digits",
        shape=(12, 12, 1),
    )
    assert run.prepare(limit=20).record.details.splits["train"].shape == (20, 12, 12, 1)


def test_other_versions_are_one_line_for_all_stages(run):
    path = run.path / "manifest.yaml"
    lines = path.read_text().rpartition(SEAL)[0]
    lines = re.sub("python: 3.*", "python: 3.0.1", lines)
    path.write_text(sealed(re.sub("numpy: .*", "numpy: 0.0.1", lines)))
    said = []
    with run.locked():
        bring_up_to_date(run, "graph", {}, say=said.append)
    (line,) = [line for line in said if "version" in line]
    assert re.search(
        "created with other versions of python, numpy(, tensorflow)?; see ", line
    )
    assert line.endswith(str(path))
