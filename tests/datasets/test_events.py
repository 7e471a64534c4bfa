"""Events and currents of each time step: what is read, summed into bins, written and read again."""

import hashlib
import os
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.datasets import digit_events, digits
from snnb.datasets.catalogue import find_dataset
from snnb.datasets.events import Events, binned
from snnb.network.event_samples import EventSamples

SENSOR = (34, 34, 2)


def frames(folder, part="test"):
    """Return the samples that `prepare` wrote as dense arrays, each with its own number of steps."""
    samples = EventSamples(folder / f"x_{part}.h5")
    return [
        samples[i : i + 1].frames(0, length)[0]
        for i, length in enumerate(samples.lengths.tolist())
    ]


def histogram(events, shape, bin_us):
    """Sum events into complete bins that begin with the first event, with numpy.histogramdd."""
    time = events.time - events.time.min()
    steps = max(1, time.max() // bin_us)
    edges = [
        np.arange(0, (steps + 1) * bin_us, bin_us),
        *(np.arange(size + 1) for size in shape),
    ]
    in_time = time < steps * bin_us
    columns = np.stack([time, events.y, events.x, events.polarity], axis=1)[in_time]
    return np.histogramdd(columns, [edge - 0.5 for edge in edges])[0]


def random_events(seed, shape=SENSOR, last=30_000):
    rng = np.random.default_rng(seed)
    y, x, p = (rng.integers(0, size, 400) for size in shape)
    return Events(np.sort(rng.integers(50, last, 400)), x, y, p)


def to_records(events):
    array = np.zeros(
        events.time.size, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")]
    )
    array["t"] = events.time
    array["x"] = events.x
    array["y"] = events.y
    array["p"] = events.polarity
    return array


@pytest.mark.parametrize("bin_us", [1, 700, 1000, 40_000])
def test_bins_are_a_histogram_whatever_the_order_of_the_events(bin_us):
    events = random_events(1, last=900 if bin_us == 1 else 30_000)
    mixed_order = np.random.default_rng(2).permutation(events.time.size)
    steps = binned(
        Events(
            *(getattr(events, n)[mixed_order] for n in ("time", "x", "y", "polarity"))
        ),
        SENSOR,
        bin_us,
        "it",
    )
    dense = np.zeros((steps.length, *SENSOR))
    dense.reshape(steps.length, -1)[steps.step, steps.neuron] = steps.value
    np.testing.assert_array_equal(dense, histogram(events, SENSOR, bin_us))
    assert (steps.outside, steps.late) == (0, events.time.size - steps.value.sum())


def test_events_outside_the_sensor_are_counted_and_one_channel_has_both_polarities():
    events = random_events(3)
    events.y[[0, -1]] = 0  # so that the bins are the same without the events outside
    steps = binned(events, (30, 34, 1), 1000, "it")
    inside = events.y < 30
    seen = Events(
        *(getattr(events, name)[inside] for name in ("time", "x", "y")),
        np.zeros(inside.sum(), int),
    )
    assert steps.outside == (~inside).sum() > 0
    dense = np.zeros((steps.length, 30, 34, 1))
    dense.reshape(steps.length, -1)[steps.step, steps.neuron] = steps.value
    np.testing.assert_array_equal(dense, histogram(seen, (30, 34, 1), 1000))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x": [3, 40], "y": [40, 2]},
            "2 of 2 events are outside the sensor of 34×34.*row 40, column 3",
        ),
        ({"time": [0, 10**9]}, "spans 1,000,000 bins of 1000 µs"),
        (
            {"time": [-(2**63), 2**63 - 1]},
            "spans 18,446,744,073,709,551 bins of 1000 µs",
        ),
    ],
)
def test_recordings_that_cannot_be_meant_are_refused(changes, message):
    recording = {"time": [0, 1], "x": [0, 0], "y": [0, 0], "polarity": [0, 1]}
    with pytest.raises(InputError, match=message):
        binned(
            Events(
                **{
                    k: np.array(v, np.int64)
                    for k, v in {**recording, **changes}.items()
                }
            ),
            SENSOR,
            1000,
            "it",
        )


def test_times_before_zero_are_shifted_and_a_recording_without_events_is_silent(
    run_prepare, tmp_path
):
    events = {
        name: random_events(seed)
        for seed, name in enumerate(("early", "earlier", "plain"))
    }
    for name, shift in (("early", 51), ("earlier", 20_000)):
        events[name] = replace(
            events[name], time=events[name].time - events[name].time.min() - shift
        )
    (folder := tmp_path / "own" / "test" / "a").mkdir(parents=True)
    for name, event in events.items():
        np.save(folder / f"{name}.npy", to_records(event))
    np.save(folder / "silent.npy", to_records(events["plain"])[:0])
    target, preparation = run_prepare(f"events:{tmp_path / 'own'}", shape=SENSOR)
    expected_frames = [
        *(histogram(event, SENSOR, 1000) for event in events.values()),
        np.zeros((1, *SENSOR)),
    ]
    assert sorted(event.tobytes() for event in frames(target)) == sorted(
        event.astype(np.float32).tobytes() for event in expected_frames
    )
    _, early, silent = preparation.warnings  # the first is of the last, partial bins
    assert re.match(
        r"2 of 4 recordings begin at a negative time, the first .*/earl(y|ier)\.npy at -",
        early,
    )
    assert re.match(
        r"1 of 4 recordings hold no events, the first .*/silent\.npy: each becomes one silent",
        silent,
    )


@pytest.fixture
def nmnist(tmp_path):
    """One recording of each digit, of different lengths, and their events by digit."""
    folder, recordings = tmp_path / "nmnist", {}
    for digit in range(10):
        recordings[digit] = events = random_events(digit, last=5000 + 1000 * digit)
        rows = zip(
            *(
                values.tolist()
                for values in (events.time, events.x, events.y, events.polarity)
            )
        )
        path = folder / "Test" / str(digit) / f"{9 - digit:05d}.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(
            b"".join(
                bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in rows
            )
        )
    return folder, recordings


@pytest.mark.parametrize("is_zip", [False, True])
def test_nmnist_in_the_order_of_mnist_from_folders_or_a_zip_file(
    run_prepare, nmnist, is_zip
):
    folder, recordings = nmnist
    if is_zip:
        with zipfile.ZipFile(folder / "Test.zip", "w") as archive:
            for path in (folder / "Test").rglob("*"):
                archive.write(path, path.relative_to(folder))
        shutil.rmtree(folder / "Test")
    target, preparation = run_prepare("nmnist", source=folder)
    expected_counts = [
        histogram(recordings[digit], SENSOR, 1000) for digit in range(9, -1, -1)
    ]
    for found_frame, dense in zip(frames(target), expected_counts):
        np.testing.assert_array_equal(found_frame, dense)
    assert np.load(target / "y_test.npy").tolist() == list(range(9, -1, -1))
    longest = max(map(len, expected_counts))
    assert preparation.splits["test"].shape == (10, longest, *SENSOR)
    assert preparation.sources == [folder / ("Test.zip" if is_zip else "Test")]
    assert sorted(path.name for path in target.iterdir()) == ["x_test.h5", "y_test.npy"]
    block = EventSamples(target / "x_test.h5")[2:9].frames(0, longest)
    np.testing.assert_array_equal(
        block,
        [
            np.pad(frame, [(0, longest - len(frame)), *[(0, 0)] * 3])
            for frame in expected_counts[2:9]
        ],
    )
    assert np.abs(block).max() > 0
    clipped_preparation, _ = run_prepare(
        "nmnist", source=folder, binary=True, bin_us=5000
    )
    np.testing.assert_array_equal(
        frames(clipped_preparation)[3], histogram(recordings[6], SENSOR, 5000) > 0
    )


def test_damaged_recordings_of_nmnist_are_named(assert_refused, nmnist, tmp_path):
    folder, _ = nmnist
    assert_refused("model takes 28×28×2", "nmnist", source=folder, shape=(28, 28, 2))
    path = folder / "Test" / "3" / "00006.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert_refused(
        r"00006\.bin has 1,999 bytes, not a multiple of 5: it is truncated",
        "nmnist",
        source=folder,
    )
    path.unlink()
    assert_refused(r"Test/3 holds no \.bin file", "nmnist", source=folder)
    assert_refused("holds neither Test/ nor Test.zip", "nmnist", source=tmp_path)
    (tmp_path / "Test.zip").write_bytes(b"PK")
    assert_refused("Test.zip is not a complete zip file", "nmnist", source=tmp_path)


def test_the_units_of_spoken_digits_are_counted_in_each_bin(
    run_prepare, assert_refused, tmp_path
):
    rng = np.random.default_rng(5)
    seconds = [
        np.sort(rng.uniform(0, 0.05, count)).astype(np.float16) for count in (300, 50)
    ]
    units = [rng.integers(0, 700, len(times)).astype(np.uint16) for times in seconds]
    for part in ("train", "test"):
        with h5py.File(tmp_path / f"shd_{part}.h5", "w") as file:
            for name, values, kind in (
                ("times", seconds, np.float16),
                ("units", units, np.uint16),
            ):
                dataset = file.create_dataset(
                    f"spikes/{name}", (2,), h5py.special_dtype(vlen=np.dtype(kind))
                )
                for i, value in enumerate(values):
                    dataset[i] = value
            file["labels"] = np.array([19, 0])
            file["extra/keys"] = [f"class {i}".encode() for i in range(20)]
    target, preparation = run_prepare("shd", source=tmp_path)
    for part in ("train", "test"):
        for found_frame, times, unit in zip(frames(target, part), seconds, units):
            zeros = np.zeros(len(unit), np.int64)
            events = Events(
                np.floor(times.astype(float) * 1e6).astype(int),
                unit.astype(int),
                zeros,
                zeros,
            )
            np.testing.assert_array_equal(
                found_frame.reshape(-1, 700),
                histogram(events, (1, 700, 1), 1000)[:, 0, :, 0],
            )
        assert np.load(target / f"y_{part}.npy").tolist() == [19, 0]
    assert preparation.class_names[19] == "class 19"
    assert (
        "2 training and 2 test samples; 8,156 and 2,264 are published"
        in preparation.warnings
    )
    assert_refused(
        "sensor of 1×700×1, the model takes 1×1×70",
        "shd",
        source=tmp_path,
        shape=(1, 1, 70),
    )


@pytest.fixture
def gestures(tmp_path):
    """Two recordings of each class; each file has another layout."""
    events = {
        name: random_events(seed, shape=(20, 30, 2))
        for seed, name in enumerate(("one", "two", "three", "four"))
    }
    for folder, name in (
        ("up", "one"),
        ("up", "two"),
        ("down", "three"),
        ("down", "four"),
    ):
        path = tmp_path / "gestures" / "test" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        array = to_records(events[name])
        if name == "one":
            np.save(path.with_suffix(".npy"), array)
        elif name == "two":  # the order and types of Prophesee's tools
            kinds = [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
            np.save(path.with_suffix(".npy"), array[["x", "y", "p", "t"]].astype(kinds))
        elif name == "three":
            np.savez(path.with_suffix(".npz"), events=array)
        else:
            np.savez_compressed(
                path.with_suffix(".npz"), **{field: array[field] for field in "txyp"}
            )
    return tmp_path / "gestures", events


def test_events_of_the_user_in_every_layout(run_prepare, gestures):
    folder, events = gestures
    target, preparation = run_prepare(f"events:{folder}", shape=(20, 30, 2))
    assert preparation.class_names == ["down", "up"]
    assert preparation.splits["test"].class_counts == {"down": 2, "up": 2}
    found_samples = {
        frame.tobytes(): label
        for frame, label in zip(frames(target), np.load(target / "y_test.npy"))
    }
    for name, frame in events.items():
        dense = histogram(frame, (20, 30, 2), 1000).astype(np.float32)
        assert found_samples[dense.tobytes()] == (name in ("one", "two"))
    target, preparation = run_prepare(f"events:{folder}", shape=(20, 28, 2))
    outside = sum(int((frame.x >= 28).sum()) for frame in events.values())
    assert preparation.outside == outside
    event_count = int(sum(frame.sum() for frame in frames(target)))
    assert preparation.warnings == [
        f"{outside} events are outside the sensor of 20×28 and ignored; {event_count:,} are counted",
        f"{sum(frame.time.size for frame in events.values()) - outside - event_count} events "
        "after the last complete bin of 1,000 µs of a sample are ignored",
    ]


def test_recordings_shorter_than_a_step_are_counted_and_refused_if_all_are(
    run_prepare, assert_refused, tmp_path
):
    """As times in ms instead of µs are."""
    (folder := tmp_path / "own" / "test" / "a").mkdir(parents=True)
    for number, last in enumerate((80, 900, 999)):
        np.save(folder / f"{number}.npy", to_records(random_events(number, last=last)))
    np.save(folder / "silent.npy", to_records(random_events(0))[:0])
    name = f"events:{tmp_path / 'own'}"
    message = (
        r"all recordings are shorter than a time step of 1,000 µs, the first .*\.npy: times must be in µs "
        r"\(multiply ms by 1000\); or give a smaller --bin-us"
    )
    assert_refused(message, name, shape=SENSOR)
    np.save(folder / "long.npy", to_records(random_events(3, last=30_000)))
    target, preparation = run_prepare(name, shape=SENSOR)
    assert sorted(len(frame) for frame in frames(target))[:4] == [1, 1, 1, 1]
    (line,) = [line for line in preparation.warnings if "are shorter" in line]
    assert re.match(
        r"3 of 5 recordings are shorter than a time step of 1,000 µs, the first .*/[012]\.npy: each",
        line,
    )
    _, preparation = run_prepare(name, shape=SENSOR, bin_us=1)
    assert [line for line in preparation.warnings if "are shorter" in line] == []


LARGE = random_events(0, shape=(480, 640, 2))
FLOATS = {"t": np.zeros(3), **dict.fromkeys("xyp", [0] * 3)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda test: os.truncate(test / "up/one.npy", 3000),
            r"one\.npy: not a complete npy file",
        ),
        (
            lambda test: (test / "left").mkdir(),
            r"test/left holds no \.npy or \.npz file",
        ),
        (
            lambda test: np.save(
                test / "up/one.npy", to_records(LARGE)[["t", "x", "p"]]
            ),
            r"one\.npy has no field y",
        ),
        (
            lambda test: np.savez(test / "up/one.npz", **FLOATS),
            r"one\.npz: t is float64 of shape \(3,\): write one",
        ),
        (
            lambda test: np.save(test / "up/one.npy", to_records(LARGE)),
            r"one\.npy: 400 of 400 events are outside the",
        ),
        (shutil.rmtree, "gestures lacks test/"),
    ],
    ids=range(6),
)
def test_bad_files_of_the_user_are_named(assert_refused, gestures, spoil, message):
    spoil(gestures[0] / "test")
    assert_refused(message, f"events:{gestures[0]}", shape=(20, 30, 2))


def test_currents_of_each_step_keep_their_values(run_prepare, assert_refused, tmp_path):
    rng = np.random.default_rng(6)
    x = np.where(rng.random((5, 7, 12)) < 0.4, rng.normal(size=(5, 7, 12)), 0).astype(
        np.float32
    )
    np.save(tmp_path / "x_test.npy", x)
    np.save(tmp_path / "y_test.npy", np.array([2, 0, 1, 1, 0]))
    name = f"steps:{tmp_path}"
    assert find_dataset(name).spec.shape == (1, 1, 12)
    target, preparation = run_prepare(name)
    assert preparation.class_names == ["0", "1", "2"]
    found_samples = sorted(
        (frame.tobytes(), label)
        for frame, label in zip(frames(target), np.load(target / "y_test.npy"))
    )
    assert found_samples == sorted(
        (frame.tobytes(), label) for frame, label in zip(x, [2, 0, 1, 1, 0])
    )
    assert preparation.warnings == []
    assert_refused(
        "has 12 values in each step, the model takes 1×1×38", name, shape=(1, 1, 38)
    )
    np.save(tmp_path / "x_train.npy", x.astype(np.float64))
    np.save(tmp_path / "y_train.npy", np.zeros(5, int))
    assert_refused(
        r"x_train\.npy is float64 of shape \(5, 7, 12\): write float32", name
    )
    x[3, 2, 1] = np.nan
    np.save(tmp_path / "x_train.npy", x)
    assert_refused("sample 3 has a value that is not finite", name)
    (tmp_path / "y_test.npy").unlink()
    assert_refused(r"lacks y_test\.npy", name)


def test_images_of_each_step_have_the_channels_last(
    run_prepare, assert_refused, tmp_path
):
    channels_first = (
        np.random.default_rng(7).random((3, 4, 2, 3, 5)).astype(np.float32)
    )  # channels, height, width
    np.save(tmp_path / "y_test.npy", np.zeros(3, int))
    np.save(tmp_path / "x_test.npy", channels_first.reshape(3, 4, 30))
    name, shape = f"steps:{tmp_path}", (3, 5, 2)
    advice = r"write \(samples, steps, 3, 5, 2\); .* x\.reshape\(3, 4, 2, 3, 5\)\.transpose\(0, 1, 3, 4, 2\)"
    assert_refused(f"flat vectors, .* {advice}", name, shape=shape)
    np.save(tmp_path / "x_test.npy", channels_first)
    assert_refused(
        r"channels first, .* x\.transpose\(0, 1, 3, 4, 2\)", name, shape=shape
    )
    np.save(
        tmp_path / "x_test.npy",
        channels_first.reshape(3, 4, 30)
        .reshape(3, 4, 2, 3, 5)
        .transpose(0, 1, 3, 4, 2),
    )
    target, _ = run_prepare(name)
    found_frames = {one_frame.tobytes() for one_frame in frames(target)}
    assert found_frames == {
        np.stack([frame[0], frame[1]], axis=-1).tobytes()
        for frame in channels_first.swapaxes(1, 2)
    }


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64])
def test_integers_of_each_step_are_numbers_of_spikes(
    run_prepare, assert_refused, tmp_path, dtype
):
    spikes = np.random.default_rng(8).integers(0, 3, (3, 4, 6)).astype(dtype)
    np.save(tmp_path / "x_test.npy", spikes)
    np.save(tmp_path / "y_test.npy", np.zeros(3, int))
    target, preparation = run_prepare(f"steps:{tmp_path}")
    assert (
        preparation.splits["test"].dtype,
        preparation.whole,
        preparation.warnings,
    ) == (
        "uint32",
        False,
        [],
    )
    assert {frame.tobytes() for frame in frames(target)} == {
        frame.astype(np.float32).tobytes() for frame in spikes
    }
    np.save(tmp_path / "x_test.npy", spikes.astype(np.float32))
    _, preparation = run_prepare(f"steps:{tmp_path}")
    assert (preparation.splits["test"].dtype, preparation.whole) == ("float32", True)
    assert "if they are spike counts, use an integer dtype" in preparation.warnings[0]
    for wrong in (-1, 2**24 + 1):
        np.save(
            tmp_path / "x_test.npy",
            np.where(np.arange(6) == 2, wrong, spikes.astype(np.int64)),
        )
        assert_refused(
            f"has {wrong} spikes in a step, not 0 to 16,777,216", f"steps:{tmp_path}"
        )


def test_moving_digits_are_the_same_each_time_and_of_different_lengths(run_prepare):
    def prepare_digits(**options):
        target, described_description = run_prepare("digit_events", limit=20, **options)
        return (
            target,
            described_description,
            hashlib.sha256((target / "x_train.h5").read_bytes()).hexdigest(),
        )

    (target, description, first_hashes), (_, _, again), (*_, other_hashes) = (
        prepare_digits(seed=seed) for seed in (0, 0, 1)
    )
    assert first_hashes == again
    assert first_hashes != other_hashes
    assert description.outside == 0
    assert description.splits["train"].class_counts == {
        str(digit): 2 for digit in range(10)
    }
    lengths = EventSamples(target / "x_test.h5").lengths
    assert (
        3 * digit_events.TICKS[0] - 2
        <= lengths.min()
        < lengths.max()
        <= 3 * digit_events.TICKS[1]
    )


def test_the_events_of_a_moving_digit_follow_the_differences_of_its_pictures():
    moving = digit_events.MovingDigits(
        digits.load(digits.locate(Path())).test.images[..., 0], seed=1
    )
    for position in range(10):
        seen, events = moving.pictures(position), moving.events(position)
        digit = moving.images[position].astype(int)
        for step, corner in zip(
            range(0, len(seen), (len(seen) - 1) // 3), digit_events.CORNERS
        ):
            expected_events = np.zeros((12, 12), int)
            expected_events[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8] = (
                digit
            )
            np.testing.assert_array_equal(
                seen[step], expected_events * digit_events.UNIT**2
            )
        # Halfway between pixels a picture is the mean of two: brightness is neither lost nor made.
        assert set(seen.sum(axis=(1, 2))) == {digit.sum() * digit_events.UNIT**2}
        signs = np.where(events.polarity > 0, 1, -1)
        total = np.zeros((12, 12), int)
        for tick, (before, after) in enumerate(zip(seen, seen[1:])):
            now = events.time // digit_events.TICK_US == tick
            np.add.at(total, (events.y[now], events.x[now]), signs[now])
            rest = (
                after - seen[0]
            ) / digit_events.UNIT**2 - digit_events.CONTRAST * total
            assert np.abs(rest).max() < digit_events.CONTRAST
            # On events only where it became brighter, off events only where it became darker.
            assert (
                np.sign(after - before)[events.y[now], events.x[now]] == signs[now]
            ).all()
        assert {-1, 1} == set(signs)
