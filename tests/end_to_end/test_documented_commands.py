"""Every command of README.md and docs/ that needs no download, no container and no cluster runs as it is written.

Each page starts in a folder with `runs/mini_network`, a copy of the recorded run, and with the files that the page
asks for. Its commands run in the order of the page. Every `snnb` command is at least parsed, and every option that the
text names exists.
"""

import re
import runpy
import shlex
import shutil
from functools import partial
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from PIL import Image

from snnb.architectures import names
from snnb.chips.read_hardware import hardware_names
from snnb.cli.command_table import COMMANDS as LISTED
from snnb.cli.commands import load
from snnb.cli.main import main
from snnb.stages.open_run import open_run
from tests.chips.test_sanafe_architecture import architecture
from tests.end_to_end.conftest import RECORDED
from tests.model_files.conftest import DIGITS_NET

ROOT = Path(__file__).parents[2]
LAVA_NETWORKS = ROOT / "tests/fixtures/lava"
PAGES = {
    path.name: path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
COMMANDS = {name: load(name) for name in LISTED}
PROGRAMS = ("snnb", "cp", "dask", "docker", "make", "python", "snntoolbox")
# Language and content of a block, and the content of the block `text` that follows directly.
BLOCK = r"^```(\w*)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?"
# Of commands that do not name them. Options on the command line win.
SMALL = {"SNNB_RUN_EPOCHS": "1", "SNNB_RUN_SAMPLES": "12", "SNNB_SWEEP_SAMPLES": "10"}
FAST = {
    "README.md": "drawn_figures",
    "mapping.md": "no_kahypar",
}  # pages of `make test`; the gate runs all
# A program, or a command line, that is not run: why.
NOT_RUN = {
    "make": "tests/cli/test_documents.py finds its targets",
    "docker": "containers: tests/container",
    "dask": "a cluster of several machines: tests/end_to_end/test_clusters.py",
    "snnb simulate --model lenet_mnist --samples 10000 --scheduler tcp://10.0.0.1:8786": "that cluster, and a download",
    "snnb crosscheck runs/lenet_mnist --with sanafe --map 20261127T024026Z": "tests/crosscheck; the stamp is one run's",
    "snnb prepare --model net.nir --dataset nmnist --source DIR --bin-us 1000": "files of others: tests/datasets",
    "snnb run --model net.nir --dataset nmnist --source DIR --time-step 1e-4": "files of others: tests/stages",
    "snnb graph --from 300_intfire --rates lgn_spikes.h5:lgn --rates tw_spikes.h5:tw --rates output/spikes.h5 "
    "--rate-steps 3000 --run-dir runs/intfire": "files of others: tests/formats/test_imports_sonata.py",
    "snntoolbox": "in a copy of a simulation: tests/end_to_end/test_toolbox_copy.py",
    "python": "other simulators (tests/end_to_end/test_other_simulators.py), and benchmarks, which take hours",
}


def _lines(text):
    """Yield the command lines of a page, each with the output that the page shows for it, or an empty string.

    Commands are the lines of a block without a language that begins with a program's name. Their output, or that of
    the last of them, is a block `text` that follows directly.
    """
    for language, block, output in re.findall(BLOCK, text, re.DOTALL | re.MULTILINE):
        lines = [
            re.sub(r"^\.venv/bin/", "", line)
            for line in block.replace("\\\n", "").splitlines()
        ]
        if (
            language in ("", "bash", "console")
            and lines
            and lines[0].split(" ")[0] in PROGRAMS
        ):
            commands = [shlex.split(line, comments=True) for line in lines]
            lines = [shlex.join(command) for command in commands if command]
            yield from zip(lines, [*[""] * (len(lines) - 1), output])


def _numbers(line):
    """Return the numbers of a line, without those of time stamps."""
    line = re.sub(r"\d{8}T\d{6}Z", "", line)
    return [
        float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*(?:\.\d+)?", line)
    ]


def _assert_numbers(shown_text, output):
    """Each line that a page shows is printed with its numbers, whose last digits depend on the processor."""
    lines = output.splitlines()
    for line in shown_text.splitlines():
        alike = [
            _numbers(other_line)
            for other_line in lines
            if _mask(other_line) == _mask(line)
        ]
        assert line == "…" or pytest.approx(_numbers(line), rel=0.02) in alike, (
            f"{line}\n{output}"
        )


def _mask(output):
    """Return output with a mask for each number, and single spaces and dashes."""
    return re.sub(
        r"\s+|(-)+", r" \1", re.sub(r"\d[\d,.]*(e[-+]?\d+)?", "N", output)
    ).strip()


SHOWN = {name: list(_lines(text)) for name, text in TEXTS.items()}
LINES = {}
for _name, _pairs in SHOWN.items():
    LINES[_name] = [line for line, _ in _pairs]


def _reason(line):
    return NOT_RUN.get(line) or NOT_RUN.get(line.split()[0])


def _words(line):
    """Return the arguments of `snnb` in a command line, in a container perhaps; None for another program."""
    found_match = re.search(
        r"^(?:docker .*)?\bsnnb(?::\w+)? (.*)|^docker compose .* run --rm [cg]pu (.*)",
        line,
    )
    return shlex.split(found_match[1] or found_match[2]) if found_match else None


def _written(text):
    """Return the Python and YAML files that a page tells its reader to write, by name."""
    return dict(
        re.findall(
            "file\\s`(\\w+\\.(?:py|yaml))`(?:(?!```).)*\\n```(?:python|yaml)\\n(.*?)^```$",
            text,
            re.DOTALL | re.MULTILINE,
        )
    )


def _pictures():
    random = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 4)):
        for channel, name in enumerate(("ant", "bee", "fly")):
            folder = Path("pictures", split, name)
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 100, (30, 40, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(folder / f"{number}.jpg")


def _partitions():
    """Write what partitioners would have: six cores of neighbouring neurons, and a place for each."""
    parts = "".join(f"{number * 6 // 362}\n" for number in range(362))
    Path("mini.hgr.part6.epsilon0.03.seed0.KaHyPar").write_text(parts)
    Path("parts.txt").write_text(parts)
    Path("places.txt").write_text("".join(f"{number} 1\n" for number in range(6)))


def _start_empty():
    shutil.rmtree("runs")
    Path("network.csv").write_text("source,target,weight\n0,1,0.5\n1,0,0.25\n")


def _graphs_are_written():
    Path("architecture.yaml").write_text(yaml.safe_dump(architecture()))
    for name in _written(TEXTS["external-graphs.md"]):
        runpy.run_path(name)


def _spiking_networks():
    """Copy a NIR file and a small file of lava-dl, with pictures of its 16×16×3 inputs."""
    shutil.copy(ROOT / "src/snnb/architectures/spiking_digits.nir", "net.nir")
    shutil.copy(LAVA_NETWORKS / "tiny.net", "pilotnet.net")
    Path("pictures").mkdir()
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        pixels = random.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
        np.save(f"pictures/x_{split}.npy", pixels)
        np.save(f"pictures/y_{split}.npy", np.arange(20) % 10)


BEFORE = {
    "README.md": _start_empty,
    "your-own-model.md": _pictures,
    "external-graphs.md": _graphs_are_written,
    "mapping.md": _partitions,
    "external-models.md": partial(shutil.copy, str(DIGITS_NET), "digits_net.onnx"),
    "spiking-networks.md": _spiking_networks,
}


def _small_synapses(filters):
    """Kernel taps, pooling, classifier of `small` at 16×16×3 with three classes."""
    return filters * (14 * 14 * 27 + 14 * 14 + 7 * 7 * 3)


def _own_models():
    runs = {
        name: open_run(Path("runs", name)) for name in ("small", "trained", "pooled")
    }
    found_models = {
        name: run.record_of("graph").details.synapses for name, run in runs.items()
    }
    assert found_models == {
        "small": _small_synapses(8),
        "trained": _small_synapses(8),
        "pooled": _small_synapses(4),
    }
    assert len(runs["small"].records_of("simulate")) == 2
    trained_record, small = (
        runs[name].record_of("train") for name in ("trained", "small")
    )
    assert trained_record.details.epochs_run == 0
    assert trained_record.metrics["test_accuracy"] == small.metrics["test_accuracy"]
    pixels = np.load("runs/prepared/dataset/x_train.npy")
    assert (pixels.shape, pixels.dtype) == ((60, 16, 16, 3), np.uint8)


def _model_from_elsewhere():
    run = open_run(Path("runs/digits_net"))
    assert run.record_of("train").metrics["test_accuracy"] > 0.9
    # Taps of a 3×3 kernel, padded, on 8×8; pooling; the second convolution on 4×4; the classifier.
    taps = 22 * 22
    assert (
        run.record_of("graph").details.synapses
        == 4 * taps + 4 * 64 + 8 * 4 * 36 + 32 * 10
    )
    # What the page trains on, and what the accuracy is measured on.
    code = _written(TEXTS["external-models.md"])["digits_net.py"]
    [folder] = re.findall(r'^dataset = "(.*)"$', code, re.MULTILINE)
    assert re.findall(r'load\w*\(f"\{dataset\}/(.*?)"\)', code) == [
        "x_train.npy",
        "y_train.npy",
    ]
    assert code.count("load") == 2
    trained_arrays, tested_arrays = (
        np.load(f"{folder}/x_train.npy"),
        np.load(run.path / "dataset" / "x_test.npy"),
    )
    assert len(trained_arrays) + len(tested_arrays) == 1797
    assert not {picture.tobytes() for picture in trained_arrays} & {
        picture.tobytes() for picture in tested_arrays
    }


AFTER = {
    "your-own-model.md": _own_models,
    "external-models.md": _model_from_elsewhere,
}
RUN = [name for name, lines in LINES.items() if not all(map(_reason, lines))]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page in FAST else pytest.mark.slow)
        for page in RUN
    ],
)
def test_every_command_of_the_page_runs(page, tmp_path, monkeypatch, capsys, request):
    if (
        page in FAST
    ):  # one with the figures of a whole run, one without the partitioner that takes half a minute
        request.getfixturevalue(FAST[page])
    monkeypatch.chdir(tmp_path)
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(RECORDED, "runs/mini_network")
    for name, text in _written(TEXTS[page]).items():
        Path(name).write_text(text, encoding="utf-8")
    BEFORE.get(page, bool)()
    for line, shown_lines in SHOWN[page]:
        if _reason(line) is not None:
            continue
        if line.startswith("cp "):
            shutil.copy(*line.split()[1:])
            continue
        if re.search(
            r"--model (digits_example|\S+\.(h5|onnx|keras|net|nir))\b", line
        ):  # trained already: epochs are refused
            monkeypatch.delenv("SNNB_RUN_EPOCHS", raising=False)
        code = main(shlex.split(line)[1:])
        output = capsys.readouterr()
        assert code == 0, f"{line}\n{output.err}"
        expected_pattern = ".*".join(
            map(re.escape, _mask(shown_lines).split("…"))
        )  # a line `…` stands for lines left out
        assert re.search(expected_pattern, _mask(output.err + output.out)), (
            f"{line}\n{output.err}{output.out}"
        )
        if page == "tutorial.md":
            _assert_numbers(shown_lines, output.err + output.out)
    AFTER.get(page, bool)()


@pytest.mark.slow
def test_the_numbers_of_the_demo_are_those_of_the_pages(tmp_path, monkeypatch, capsys):
    """README.md shows the end of `make demo`, mapping.md the mapping alone, and the tutorial names its spikes."""
    monkeypatch.chdir(tmp_path)
    [recipe] = re.findall(
        r"^demo:.*\n((?:\t.*\n)+)",
        (ROOT / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    commands = re.findall(r"^\t\$\(BIN\)/snnb (.*)$", recipe, re.MULTILINE)
    assert [main(shlex.split(command)) for command in commands] == [0] * 3
    printed_text = capsys.readouterr().out
    _assert_numbers(dict(SHOWN["README.md"])["make demo"], printed_text)
    mapping, shown_lines = SHOWN["mapping.md"][0]
    assert commands[0].replace("--run-dir runs/demo ", "") == mapping[len("snnb ") :]
    _assert_numbers(
        shown_lines.replace("runs/digits_example", "runs/demo"), printed_text
    )
    spikes = open_run(Path("runs/demo")).record_of("map").metrics["connectivity"]
    for page, number in (
        ("README.md", "Per image, {:.0f} spikes"),
        ("tutorial.md", "{:.1f} spikes between cores"),
    ):
        assert number.format(spikes) in re.sub(r"\s+", " ", TEXTS[page])


def test_the_pages_have_what_is_listed():
    assert set(RUN) >= {
        "README.md",
        "tutorial.md",
        "mapping.md",
        "simulation.md",
        *BEFORE,
    }
    lines = set().union(*LINES.values())
    programs = {line.split()[0] for line in lines}
    assert set(NOT_RUN) <= lines | programs
    assert set(_written(TEXTS["your-own-model.md"])) == {"net.py", "pooled.py"}


@pytest.mark.parametrize(
    "page", [name for name, lines in LINES.items() if any(map(_words, lines))]
)
def test_every_command_of_the_page_is_one(page):
    for words in filter(None, map(_words, LINES[page])):
        context = COMMANDS[words[0]].make_context(words[0], words[1:])
        model = context.params.get("model")
        assert model is None or model in names() or "." in model, model
        assert context.params.get("hardware") in {
            None,
            *hardware_names(),
            "architecture.yaml",
            *_written(TEXTS[page]),
        }


def test_every_option_that_the_text_gives_a_command_exists():
    missing_options = []
    for page, text in TEXTS.items():
        for command, rest in re.findall(r"`snnb ([a-z]+)\b([^`]*)`", text):
            known_command = COMMANDS.get(command, click.Command(command))
            options = set()
            for option in known_command.params:
                options.update(option.opts, option.secondary_opts)
            wrong = set(re.findall(r"(?<= )--[\w-]+", rest)) - options
            if wrong or command not in {
                *COMMANDS,
                "synapse",
            }:  # `snnb synapse graph` is the name of a file's format
                missing_options.append((page, command, wrong))
    assert missing_options == []
