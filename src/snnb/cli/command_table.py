"""The commands with their help texts and examples."""

from typing import Dict, NamedTuple, Sequence

ON_STAGES = "stage_command"  # module that makes the commands of the stages


class CommandEntry(NamedTuple):
    """A command in the help of `snnb`."""

    panel: str
    # In snnb.cli; unless it is `ON_STAGES`, it has a function with the command's name
    module: str
    help: str


# Panels of the help
STAGES = "Stages"
LISTS = "Lists"
RESULTS = "Results"
TOOLS = "Tools"
# In the order of the help. The module of a command is imported when the command is
# called: `snnb --help` imports none of them, nor the stages.
COMMANDS: Dict[str, CommandEntry] = {
    "prepare": CommandEntry(
        STAGES,
        ON_STAGES,
        "Convert a data set to arrays; write dataset/.",
    ),
    "train": CommandEntry(STAGES, ON_STAGES, "Train the Keras network; write train/."),
    "parse": CommandEntry(
        STAGES,
        ON_STAGES,
        "Convert and normalise the trained network; write parse/.",
    ),
    "simulate": CommandEntry(
        STAGES,
        ON_STAGES,
        "Simulate the converted network and count its spikes; write a new directory "
        "in simulations/.",
    ),
    "graph": CommandEntry(
        STAGES,
        ON_STAGES,
        "Write the synapse graph to a directory in graphs/.",
    ),
    "map": CommandEntry(
        STAGES,
        ON_STAGES,
        "Map a graph onto the cores of a chip and estimate the cost; write a "
        "directory in maps/.",
    ),
    "run": CommandEntry(
        STAGES,
        ON_STAGES,
        "Run prepare, train, parse, simulate and graph in order.",
    ),
    "sweep": CommandEntry(
        STAGES,
        "sweep",
        "Simulate each point of a grid of options; stages common to several points "
        "run once.",
    ),
    "models": CommandEntry(
        LISTS,
        "lists",
        "List the models with data set, input shape, and numbers of neurons and "
        "synapses.",
    ),
    "datasets": CommandEntry(
        LISTS,
        "lists",
        "List the data sets and their availability on this machine.",
    ),
    "hardware": CommandEntry(
        LISTS,
        "lists",
        "List the hardware descriptions for `snnb map --hardware`.",
    ),
    "instances": CommandEntry(
        LISTS,
        "lists",
        "List the benchmark graphs for mapping algorithms (`snnb graph --from "
        "instance:NAME`).",
    ),
    "status": CommandEntry(
        RESULTS,
        "status",
        "Show the state of each stage of a run, and the differing parameters of its "
        "simulations.",
    ),
    "report": CommandEntry(
        RESULTS,
        "report",
        "Write an HTML report of a run: network, training, accuracy, rates, traffic, "
        "mapping, provenance.",
    ),
    "compare": CommandEntry(
        RESULTS,
        "compare",
        "Compare simulations: differing parameters, accuracy, firing rates, "
        "operations, mapping cost.",
    ),
    "export": CommandEntry(
        RESULTS,
        "export",
        "Export the graph to the format of another program.",
    ),
    "crosscheck": CommandEntry(
        RESULTS,
        "crosscheck",
        "Simulate the exported graph in another simulator and compare the spike "
        "counts of all neurons.",
    ),
    "verify": CommandEntry(
        TOOLS,
        "verify",
        "Compare all files with the hashes in the manifest.",
    ),
    "remove": CommandEntry(
        TOOLS,
        "remove",
        "Remove simulations, graphs or mappings from a run and its manifest.",
    ),
    "doctor": CommandEntry(
        TOOLS,
        "doctor",
        "Show the versions of Python and packages, and GPU, memory and disk space of "
        "this machine.",
    ),
}
# Names of the parameters in the panel of options that many commands have
COMMON_PARAMETERS = (
    "force",
    "defaults",
    "no_upstream",
    "no_wait",
    "yes",
    "json",
    "verbose",
    "quiet",
    "help",
)
# By command that takes the options of several stages: the parameters that its help
# lists, besides the common ones
HELP_PARAMETERS: Dict[str, Sequence[str]] = {
    "run": (
        "model",
        "dataset",
        "epochs",
        "percentile",
        "samples",
        "duration",
        "engine",
        "input",
        "seed",
    ),
    "sweep": (
        "grid",
        "model",
        "dataset",
        "samples",
        "duration",
        "workers",
        "scheduler",
    ),
}
# By these commands: a note about the options that their help does not list
OPTION_NOTES = {
    "run": "All options of prepare, train, parse, simulate and graph are accepted "
    "(`snnb STAGE --help`); each applies to every stage that has it.",
    "sweep": (
        "All options of train, parse and simulate are accepted (`snnb STAGE --help`), "
        "in --grid or as one value."
    ),
}
OPTIONS_NOTE = "Options hold for one command. A stage without options keeps its result."
# By command: the examples in its help
EXAMPLES: Dict[str, Sequence[str]] = {
    "prepare": (
        "snnb prepare --model lenet_mnist",
        "snnb prepare --model lenet_cifar10 --source ~/cifar --limit 1000",
    ),
    "train": (
        "snnb train --model lenet_mnist --epochs 5",
        "snnb train runs/lenet_mnist --set dropout=0.3",
    ),
    "parse": (
        "snnb parse --model lenet_mnist",
        "snnb parse runs/lenet_mnist --percentile 99",
    ),
    "simulate": (
        "snnb simulate --model lenet_mnist --samples 100 --duration 50",
        "snnb simulate runs/lenet_mnist --input poisson --record-spikes 2",
    ),
    "graph": (
        "snnb graph --model lenet_mnist",
        "snnb graph runs/lenet_mnist --pool-weight one",
    ),
    "map": (
        "snnb map runs/lenet_mnist --hardware loihi",
        "snnb map runs/lenet_mnist --hardware my_chip.yaml --partition cores.txt",
    ),
    "run": (
        "snnb run --model digits_example",
        "snnb run --model lenet_mnist --epochs 5 --samples 200 --duration 100",
    ),
    "sweep": (
        "snnb sweep --model lenet_mnist --grid percentile=99,99.9 --grid "
        "duration=50,100,200",
        "snnb sweep --model lenet_mnist --input poisson --grid seed=0,1,2 --workers 2",
    ),
    "export": (
        "snnb export runs/lenet_mnist --format hmetis --output lenet.hgr",
        "snnb export runs/lenet_mnist --format csv",
    ),
    "status": ("snnb status runs/lenet_mnist", "snnb status runs/lenet_mnist --json"),
    "report": (
        "snnb report runs/lenet_mnist",
        "snnb report runs/lenet_mnist --output lenet.html",
    ),
    "compare": (
        "snnb compare runs/lenet_mnist",
        "snnb compare runs/lenet_mnist runs/lenet_cifar10 --figure both.svg",
    ),
    "crosscheck": (
        "snnb crosscheck runs/lenet_mnist --with scipy",
        "snnb crosscheck runs/lenet_mnist --with sanafe --map 20260101T000000Z",
    ),
    "remove": (
        "snnb remove runs/lenet_mnist 20260102T030405Z",
        "snnb remove runs/lenet_mnist 20260102T030405Z --yes",
    ),
    "verify": ("snnb verify runs/lenet_mnist", "snnb verify runs/lenet_mnist --json"),
}
