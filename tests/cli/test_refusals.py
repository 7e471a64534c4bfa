"""What each command refuses: the command line, the exit code of the contract, what is named, a word of the remedy.

Each ends in one line on stderr and nothing on stdout, before anything is written.
"""

import re
import shlex
import shutil

import pytest

from snnb import Run
from snnb.cli.main import main
from snnb.formats.all import FORMATS
from snnb.stages.open_run import open_run
from snnb.stages.synonyms import SYNONYMS
from tests.end_to_end.conftest import RECORDED
from tests.model_files.conftest import DIGITS_NET
from tests.nir_interpreter import write
from tests.stages.test_map import CHIP, NEURONS
from tests.stages.test_spiking import EDGES, NODES

NEW = "--model mini_network --run-dir new"
EXAMPLE = "--model digits_example --run-dir new"
EVENTS = "--model spiking_digits --run-dir new"
ONNX = "--model digits_net.onnx --dataset digits --run-dir new"
NIR = "--model net.nir --dataset digits --run-dir new"
STAMP = next((RECORDED / "simulations").iterdir()).name
# Command lines without the command; `run` is a copy of the recorded run.
REFUSED = {
    "prepare": [
        ("outside", 2, "an external graph", "map"),
        ("--model mini_network --run-dir a_file", 3, "a_file", "move it away"),
        (f"{EXAMPLE} --shape 16x16x1", 3, "8×8×1, not 16×16×1", "omit --shape"),
        (
            f"{EXAMPLE} --dataset digit_events",
            2,
            "digits_example takes images",
            "FILE.nir",
        ),
        ("--model mini_network --run-dir /proc/x", 3, "/proc/x", "check the path"),
        ("--model mini_network --run-dir foreign", 2, "thesis.tex", "manifest.yaml"),
        (
            "--model lenet_mnist --run-dir new --source nowhere",
            3,
            "nowhere",
            "does not exist",
        ),
        (
            "--model net.py:net --run-dir new --dataset folder:pictures",
            2,
            "--shape",
            "prepare them",
        ),
        (
            "--model mini_network --run-dir new --dataset digit_events",
            2,
            "digit_events",
            "FILE.nir",
        ),
        (f"{NEW} --bin-us 500", 2, "--bin-us", "only for event data sets"),
        (
            "--model lenet_mnist --run-dir new --dataset folder:",
            2,
            "folder:",
            "names no folder",
        ),
        (
            "--model lenet_mnist --run-dir new --dataset mnist:pets",
            2,
            "unknown data set mnist:pets",
            "",
        ),
        (f"{EVENTS} --norm-samples 5", 2, "--norm-samples", "omit it"),
        (f"{EVENTS} --source .", 2, "--source", "omit"),
        (
            "--model net.nir --dataset nmnist --run-dir new --seed 3",
            2,
            "--seed",
            "omit it",
        ),
    ],
    "train": [
        (
            "--model lenet_minst",
            2,
            "unknown model 'lenet_minst'",
            "did you mean lenet_mnist?",
        ),
        ("--model x", 2, "unknown model 'x'", "the models are alexnet_"),
        ("--model net.png --dataset digits", 2, "--model net.png", "FILE.py:FUNCTION"),
        (
            "--model net.pt --dataset digits --run-dir new",
            3,
            "net.pt",
            "torch.onnx.export",
        ),
        ("--model net.py:net --run-dir new", 2, "--dataset", "give"),
        ("--model lenet_mnist --run-dir run", 2, "lenet_mnist", "mini_network"),
        ("--model mini_network --run-dir ''", 2, "--run-dir", "empty"),
        ("run --epoch 3", 2, "--epoch", "--epochs"),
        ("run --epochs many", 2, "--epochs", "many"),
        ("run --set filters=1 --set filters=2", 2, "filters", "give it once"),
        (f"{NEW} --optimizer eve", 2, "--optimizer", "eve"),
        (f"{NEW} --no-upstream", 4, "train", "prepare must run"),
        ("run --seed 4294967296", 2, "--seed", "4294967296"),
        ("run --set filterz=1", 2, "filterz", "filters"),
        (
            "run --initial-weights run/train/mini_network.h5",
            2,
            "--initial-weights",
            "give a copy",
        ),
        ("run --levels 4", 2, "--levels", "--activation qcfs"),
        (f"{EXAMPLE} --epochs 3", 2, "digits_example", "already trained"),
        (f"{EVENTS} --epochs 3", 2, "spiking_digits", "already trained"),
        (
            f"{ONNX} --epochs 3 --activation qcfs --levels 4",
            2,
            "--epochs, --activation, --levels",
            "already trained",
        ),
        ("run --pixels tf", 2, "--pixels", "trained model in a file"),
        ("run --figures jpg", 2, "--figures", "jpg"),
    ],
    "parse": [
        (
            "run --parser toolbox --calibrate 8",
            2,
            "--calibrate",
            "not with --parser toolbox",
        ),
        (
            "run --firing free --spike-weight 1",
            2,
            "--firing, --spike-weight",
            "--calibrate",
        ),
        (
            "run --calibrate 8 --firing free --spike-weight 1",
            2,
            "--spike-weight",
            "--firing separated",
        ),
        ("run --calibrate 8 --scale-per layer", 2, "--scale-per", "--weight-bits"),
        (
            "run --time-step 1 --nir-reset subtract",
            2,
            "--time-step, --nir-reset",
            "NIR file",
        ),
        (NIR, 3, "node cuba (CubaLIF)", "--time-step"),
        (
            f"{NIR} --time-step 1 --percentile 99 --parser toolbox",
            2,
            "--percentile, --parser",
            "omit it",
        ),
    ],
    "simulate": [
        ("", 2, "--model", "give"),
        ("run --time-step 1", 2, "--time-step", "`snnb parse`, `snnb run`"),
        (f"{NEW} --warm-up 100 --duration 100", 2, "--warm-up", "no step"),
        (
            "run --timesteps 50",
            2,
            "no such option: --timesteps",
            "did you mean --duration?",
        ),
        ("run --samples 361", 2, "--samples", "360"),
        ("run --first 360", 2, "--first", "359"),
        ("run --first 350 --samples 11", 2, "--samples", "10 from --first 350"),
        ("run --input-rate 500", 2, "--input-rate", "--input poisson"),
        (f"{EVENTS} --batch-size 5", 2, "--batch-size", "omit it"),
        (
            f"{EVENTS} --threshold 2 --output membrane",
            2,
            "--threshold, --output",
            "omit it",
        ),
        (
            "run --input events",
            2,
            "the test set has pictures",
            "--input constant or poisson",
        ),
        ("run --scheduler nowhere", 2, "--scheduler", "address"),
        ("run --scheduler tcp://h:1 --workers 2", 2, "--scheduler", "--workers"),
        (
            "run --scheduler tcp://h:1 --engine toolbox",
            2,
            "--scheduler",
            "--engine toolbox",
        ),
        ("run --workers 2 --engine toolbox", 2, "--workers", "--engine toolbox"),
        (
            "run --record-spikes 2 --engine toolbox",
            2,
            "--record-spikes",
            "--engine toolbox",
        ),
        ("run --output spikes --engine toolbox", 2, "--output", "--engine toolbox"),
        (
            "run --initial-potential 0.5 --engine toolbox",
            2,
            "--initial-potential",
            "--engine toolbox",
        ),
        ("run --label ''", 2, "--label", "1 to 200"),
        ("run --label 'two\nlines'", 2, "--label", "line"),
        (f"run --label {'x' * 201}", 2, "--label", "200"),
    ],
    "graph": [
        (
            "run --weights-only --simulation 20200101T000000Z",
            2,
            "--simulation",
            "--weights-only",
        ),
        ("run --weights-only --rate-unit hz", 2, "--rate-unit", "no rates"),
        ("run --rates zero --rate-samples 3", 2, "--rates, --rate-samples", "--from"),
        ("--from edges.csv --run-dir run", 2, "mini_network", "another --run-dir"),
        ("--from edges.csv --model mini_network", 2, "--from", "omit --model"),
        ("--from edges.csv --dataset digits --run-dir new", 2, "--from", "--dataset"),
        ("--from nowhere.csv --run-dir new", 3, "nowhere.csv", "no such file"),
        (
            "--from instance:netwrk --run-dir new",
            2,
            "instance:netwrk: no such",
            "mini_network, mini_poisson, ",
        ),
        ("--from net.py --run-dir new", 3, "net.py", "csv"),
        ("--from pictures --run-dir new", 3, "pictures", "sonata"),
        ("--from far.csv --run-dir new", 3, "line 3", "are 0 to"),
        (
            "--from edges.csv --rates nowhere --run-dir new",
            3,
            "nowhere",
            "no such file",
        ),
        (
            "--from edges.csv --rates zero --run-dir new",
            3,
            f"{NEURONS} numbers",
            "3 neurons",
        ),
        (
            "--from edges.csv --rates gap --run-dir new",
            3,
            "line 2 is empty",
            "a number for each neuron",
        ),
        (
            "--from edges.csv --rate-samples 10 --run-dir new",
            2,
            "--rate-samples",
            "give --rates",
        ),
        (
            "--from edges.csv --rate-unit hz --run-dir new",
            2,
            "--rate-unit",
            "give --rates",
        ),
        (
            "--from edges.csv --rates three --rates three --run-dir new",
            2,
            "three: given twice",
            "spikes twice",
        ),
        ("--from edges.csv --rates three:x --run-dir new", 2, "three:x", "omit :x"),
        (
            "--from edges.csv --rates many --run-dir new",
            3,
            "line 2: 1e30 spikes",
            "at most 2^53",
        ),
        (
            "--from edges.csv --run-dir new --weights-only",
            2,
            "--weights-only",
            "omit it",
        ),
        (
            "--model mini_network --run-dir outside",
            2,
            "an external graph",
            "another --run-dir",
        ),
    ],
    "map": [
        ("outside --hardware loihi --source .", 2, "--source", "no data set"),
        ("outside --hardware loihi --graph weights", 2, "weights", "spike counts"),
        ("outside --hardware loihi --graph 20200101T000000Z", 2, "--graph", "imported"),
        ("run", 2, "--hardware", "loihi"),
        ("run --hardware lohi", 2, "--hardware", "loihi"),
        ("run --hardware no/such.yaml", 3, "no/such.yaml", "no such file"),
        ("run --hardware ../descriptions/loihi", 3, "no such file", "give a YAML file"),
        (
            "run --hardware narrow.yaml",
            3,
            "02Conv2D_2x2x8",
            "36 sources of spikes, 1 more than the 35 axons",
        ),
        (
            "outside --hardware one_axon.yaml",
            3,
            "2 sources of spikes",
            "1 more than the 1 axons",
        ),
        ("run --hardware few.yaml", 3, "2 cores", "at least 6"),
        (
            "run --hardware one_core.yaml",
            3,
            "3 layers, 2 more than the 1 core,",
            "take one layer each",
        ),
        (
            "run --hardware speck2f --method groups",
            2,
            "--method: no effect on speck2f",
            "each layer has one core",
        ),
        (
            "outside --hardware speck2f",
            2,
            "takes layers, and",
            "give a chip with a mesh",
        ),
        (
            "run --hardware core_unknown.yaml",
            3,
            "cores.0.bits: unknown key",
            "--show speck2f` prints",
        ),
        ("run --hardware loihi --graph 20200101T000000Z", 2, "--graph", STAMP),
        (
            "named --hardware loihi --partition long",
            3,
            "line 1: '12345678901234567890' is too large",
            "too large",
        ),
        (
            "outside --hardware loihi --partition gap",
            3,
            "line 2 is empty",
            "one core number per line",
        ),
        (
            "outside --hardware loihi --partition rows",
            3,
            "line 1, 'a 1', is not",
            "one core number per line",
        ),
        ("run --hardware loihi --partition missing", 3, "missing", "no such file"),
        (
            "run --hardware loihi --partition zero --method groups",
            2,
            "--method",
            "partition",
        ),
        (
            "run --hardware loihi --placement twice --allow-overfull",
            2,
            "--placement, --allow-overfull",
            "--partition",
        ),
        ("run --hardware loihi --split-overfull", 2, "--split-overfull", "--partition"),
        (
            "--model mini_network --run-dir new --hardware jin_84x84 --objective step",
            2,
            "no time_ns",
            "give another",
        ),
    ],
    "run": [
        ("--from edges.csv --run-dir new --epochs 3", 2, "--epochs", "train"),
        (f"{NEW} --momentum 0.5", 2, "momentum", "sgd"),
        (
            f"{NEW} --activation qcfs --levels 4 --exact-clip",
            2,
            "--exact-clip",
            "always",
        ),
        (f"{NEW} --weight-bits 4 --threshold 2", 2, "--threshold", "omit it"),
        (
            f"{NEW} --activation qcfs --initial-potential 0.5",
            2,
            "--initial-potential",
            "omit it",
        ),
        (
            "--run-dir run --calibrate 4 --reset zero",
            2,
            "--reset zero",
            "--reset subtraction",
        ),
        ("--run-dir run --calibrate 4 --warm-up 3", 2, "--warm-up", "omit it"),
        (
            "--run-dir run --weight-bits 4 --engine toolbox",
            3,
            "an integer network",
            "--engine tensorflow or event",
        ),
        (
            "--run-dir run --calibrate 4 --engine toolbox",
            3,
            "a calibrated network",
            "--engine tensorflow or event",
        ),
        (
            "--run-dir run --prune 0.5 --engine toolbox",
            3,
            "a pruned network",
            "--engine tensorflow or event",
        ),
        ("--run-dir run --activation qcfs --warm-up 3", 2, "--warm-up", "omit it"),
    ],
    "models": [
        (
            "minnetwork",
            2,
            "no model has 'minnetwork' in its name",
            "did you mean mini_network?",
        ),
        ("zzz", 2, "no model has 'zzz' in its name", "`snnb models`"),
    ],
    "status": [
        ("nowhere", 3, "nowhere", "run directory"),
        ("''", 2, "empty", ""),
        ("run --run-dir elsewhere", 2, "elsewhere", "give one"),
    ],
    "export": [
        ("run --format gexf", 2, "gexf", ", ".join(FORMATS)),
        ("run --format metis --scale nan", 2, "--scale", "finite"),
        ("run --format csv --rate-unit kHz", 2, "kHz", "hz"),
        ("outside --format csv --rate-unit hz", 2, "--rate-unit", "omit it"),
        ("run --format csv --output missing/x.csv", 2, "missing", "make it first"),
        (f"run --format csv --output {'n' * 250}", 3, "nnn", "too long"),
        ("run --format csv --graph ../../victim", 2, "../../victim", STAMP),
        ("run --format csv --map 20200101T000000Z", 2, "--map", "sanafe, noxim"),
        ("run --format noxim", 2, "requires a mapping", "--map STAMP"),
        ("run --format noxim --map 20200101T000000Z --scale 0", 2, "--scale", "0"),
        ("run --format noxim --with-input", 2, "--with-input", "spinemap"),
    ],
    "report": [
        ("run --output run/train/page.html", 2, "run/train", ""),
        ("run --output missing/page.html", 2, "missing", "make it first"),
    ],
    "compare": [
        ("outside --figure new.svg", 2, "--figure", "no accuracy"),
        ("nowhere", 3, "nowhere", "run directory"),
        ("run:20200101T000000Z", 2, "20200101T000000Z", STAMP),
        ("''", 3, "run directory", ""),
    ],
    "remove": [
        ("run train --yes", 2, "train", "--force"),
        ("run 20300101T000000Z --yes", 2, "20300101T000000Z", f"simulations/{STAMP}"),
        ("run ../.. --yes", 2, "../..", "not in the run"),
        (f"run {STAMP} --with-dependents", 2, "--yes", "give"),
    ],
    "sweep": [
        ("outside --grid hardware=loihi", 2, "an external graph", "snnb map"),
        ("run --grid percentile", 2, "percentile", "OPTION=VALUE,VALUE"),
        ("run --grid graph.pool_weight=one", 2, "graph", "train, parse, simulate"),
        ("run --grid parse.duration=1", 2, "parse.duration", "no such option"),
        (
            "run --grid timesteps=5,10",
            2,
            "--grid timesteps=5,10",
            "did you mean duration?",
        ),
        (
            "run --grid percentil=99",
            2,
            "--grid percentil=99",
            "did you mean percentile?",
        ),
        ("run --grid percentile=101", 2, "--percentile", "100"),
        ("run --grid percentile=99,", 2, "--percentile", "''"),
        ("run --grid percentile=99,99.0", 2, "99.0", "twice"),
        ("run --grid duration=5 --grid simulate.duration=6", 2, "duration", "twice"),
        ("run --grid samples=5,6 --samples 10", 2, "--samples", "outside"),
        ("run --grid samples=10,361", 2, "--samples 361", "360"),
        ("run --grid duration=3,9 --grid warm_up=4", 2, "--warm-up 4", "--duration 3"),
        ("run --grid workers=1,2", 2, "workers", "results"),
        ("run --grid settings=dropout", 2, "--set", "grid"),
        (f"{ONNX} --grid epochs=1,2", 2, "--epochs", "already trained"),
        ("run --grid hardware=loihy", 2, "loihy", "loihi"),
        ("run --grid hardware=loihi,loihi", 2, "loihi", "twice"),
    ],
    "crosscheck": [
        ("outside --with scipy", 2, "an external graph", "without neuron model"),
        ("--with scipy", 2, "run", "give the directory"),
        ("run --with neuron", 2, "neuron", "brian2, sanafe, scipy"),
        ("run --with scipy --samples 61", 2, "--samples", "60"),
        ("run --with scipy --map 20200101T000000Z", 2, "--with", "sanafe"),
        (
            "run --with sanafe --map 20200101T000000Z",
            2,
            "20200101T000000Z",
            "there are",
        ),
    ],
}
ROWS = [
    pytest.param(command, *row, id=f"{command} {row[0][:70]}")
    for command, rows in REFUSED.items()
    for row in rows
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    shutil.copytree(RECORDED, folder / "run")
    for directory in ("pictures/train", "pictures/test", "foreign"):
        (folder / directory).mkdir(parents=True)
    files = {
        "a_file": "",
        "net.pt": "PK",
        "foreign/thesis.tex": "mine",
        "net.py": "def net(input_shape, num_classes):\n    return None\n",
        "narrow.yaml": CHIP.replace("300", "35"),
        "one_axon.yaml": CHIP.replace("300", "1"),
        "one_core.yaml": "name: c\ncores: [{kernel: 64, neurons: 64, biases: 9}]\nlayer: {pooling: [2]}\nsource: s\n",
        "core_unknown.yaml": "name: c\ncores: [{kernel: 1, neurons: 1, biases: 1, bits: 1}]\nsource: s\n",
        "few.yaml": CHIP.replace("[4, 4]", "[1, 2]"),
        "edges.csv": "source,target\n0,1\n1,2\n0,2\n",
        "named.csv": "source,target\na,b\nb,c\na,c\n",
        "long": "a 12345678901234567890\nb 0\nc 0\n",
        "rows": "a 1\nc 0\nd 0\n",
        "gap": "1\n\n0\n1\n",
        "far.csv": "source,target\n0,1\n-1,2\n",
        "three": "1\n2\n3\n",
        "many": "1\n1e30\n3\n",
        "zero": "0\n" * NEURONS,
        "twice": "3 3\n3 3\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    write(folder / "net.nir", NODES, EDGES)
    shutil.copy(str(DIGITS_NET), str(folder / "digits_net.onnx"))
    Run.from_graph(folder / "edges.csv", folder / "outside")
    Run.from_graph(folder / "named.csv", folder / "named")
    return folder


def files_of(folder):
    """Sizes and times of all files, and results in manifests, but those of a run that has nothing in it yet.

    A manifest also has the options of a command that is refused by its own stage.
    """
    other_names = (".lock", ".hashes.json", "manifest.yaml")
    paths = (
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in other_names
    )
    files = {path: path.stat()[6:9:2] for path in paths if path.parent.name != "new"}
    manifests = [
        path for path in folder.rglob("manifest.yaml") if path.parent.name != "new"
    ]
    return {
        **files,
        **{
            path: path.read_text().partition("\nstages:")[2].rpartition("#")[0]
            for path in manifests
        },
    }


@pytest.mark.parametrize(("command", "words", "code", "subject", "keyword"), ROWS)
def test_it_is_refused_in_one_line_before_anything_is_written(
    folder, monkeypatch, capsys, command, words, code, subject, keyword
):
    monkeypatch.chdir(folder)
    shutil.rmtree("new", ignore_errors=True)
    before = files_of(folder)
    assert main([command, *shlex.split(words), "--quiet"]) == code, (
        capsys.readouterr().err
    )
    out, line = capsys.readouterr()
    assert out == ""
    assert line.startswith("snnb: ")
    assert line.count("\n") == 1
    assert subject in line
    assert keyword in line
    assert files_of(folder) == before


SIMULATION, GRAPH = f"simulations/{STAMP}", f"graphs/{STAMP}"
REMOVE = (
    f"`snnb remove run {SIMULATION} --with-dependents`, then `snnb simulate run "
    "--engine tensorflow --samples 60 --duration 60 --record-spikes 2` recreates it"
)
MAP_AGAIN = "then `snnb map run --hardware spinemap_5x5 --method sequential` recreates"
REPAIR = f"`snnb graph run --simulation {STAMP}` recreates it"
# Commands, a damaged file, and the command that recreates it.
DAMAGED = [
    ("verify run", "train/training_history.csv", 5, "`snnb train run` recreates it"),
    ("verify run", f"{SIMULATION}/log.txt", 5, REMOVE),
    ("verify run", "maps/*/cores.csv", 5, MAP_AGAIN),
    (
        f"graph run --simulation {STAMP}",
        f"{SIMULATION}/spike_rate_sums.npz",
        3,
        f"`snnb remove run {SIMULATION}",
    ),
    (
        f"map run --hardware loihi --graph {STAMP}",
        f"{GRAPH}/mini_network_graph.h5",
        3,
        REPAIR,
    ),
    ("export run --format csv", f"{GRAPH}/mini_network_graph.h5", 3, REPAIR),
    ("export run --format spinemap", f"{SIMULATION}/spike_times.npz", 3, REMOVE),
    ("crosscheck run --with scipy", "dataset/x_test.npy", 3, "prepare the data set"),
    ("compare run", f"{SIMULATION}/sim_accuracies.json", 3, REMOVE),
    ("report run", f"{SIMULATION}/training_history.csv", 3, REMOVE),
    ("report run", "maps/*/cost.json", 3, MAP_AGAIN),
]


@pytest.fixture(scope="module")
def mapped_run(tmp_path_factory):
    run = Run(path=shutil.copytree(RECORDED, tmp_path_factory.mktemp("mapped") / "run"))
    run.map(hardware="spinemap_5x5", method="sequential")
    return run.path


@pytest.mark.parametrize(("line", "file", "code", "repair"), DAMAGED)
def test_a_damaged_file_is_named_with_what_makes_it_again(
    mapped_run, tmp_path, monkeypatch, capsys, line, file, code, repair
):
    monkeypatch.chdir(shutil.copytree(mapped_run, tmp_path / "run").parent)
    (path,) = tmp_path.glob(f"run/{file}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    results = open_run(tmp_path / "run").records()
    assert main([*line.split(), "--quiet"]) == code
    errors = capsys.readouterr().err.replace(f"{tmp_path}/", "")
    assert path.name in errors
    assert repair in errors
    assert open_run(tmp_path / "run").records() == results


@pytest.mark.parametrize(
    "file", [f"{GRAPH}/mini_network_graph.h5", f"{SIMULATION}/log.txt"]
)
def test_commands_that_repair_a_damaged_result_work_as_they_stand(
    mapped_run, tmp_path, monkeypatch, capsys, file
):
    monkeypatch.chdir(shutil.copytree(mapped_run, tmp_path / "run").parent)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    (tmp_path / "run" / file).write_text("damaged")
    assert main(["verify", "run"]) == 5
    for command in re.findall("`snnb (.*?)`", capsys.readouterr().err):
        words = command.split()
        assert main(words if "run" in words else [*words, "run", "--quiet"]) == 0, (
            command
        )
    assert main(["verify", "run"]) == 0
    assert bool(list(tmp_path.glob("run/maps/*"))) == file.startswith(
        GRAPH
    )  # its mappings stay


@pytest.mark.parametrize("word", SYNONYMS)
def test_names_of_options_in_other_programs(capsys, word):
    assert main(["models", word, "5"]) == 2
    message = f"snnb: no such option: {word}; {SYNONYMS[word]} is an option of `snnb "
    assert capsys.readouterr().err.startswith(message)


def test_a_wrong_command_is_refused(capsys):
    assert main(["rum"]) == 2
    assert "Did you mean 'run'?" in capsys.readouterr().err
