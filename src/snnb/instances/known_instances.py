"""The instances that come with the package: list them, and find one by name."""

from pathlib import Path
from typing import List, Optional, Tuple

from snnb.core.errors import UsageError
from snnb.io.text import Document, read_document

FOLDER = Path(__file__).parent
PREFIX = "instance:"  # of a name instead of a file


class Quality(Document):
    """Accuracy of a network, or the mean squared error of one that reproduces its input.

    Attributes
    ----------
    trained, spiking : float
        Of the recorded network, and of the simulation that counted the spikes, on the
        same samples. `trained` is None if the network is from a NIR file.
    test : float or None
        Of the recorded network, on all test samples.
    """

    trained: Optional[float] = None
    spiking: float
    test: Optional[float] = None


class Instance(Document):
    """Description of an instance: the document `NAME.json`.

    Attributes
    ----------
    name, version : str
        A changed network or graph has another version.
    network : str
        The network in one sentence.
    dataset : str
        Data set of the samples.
    pictures, steps : int
        Number of test samples simulated, and time steps in which spikes were counted,
        of each.
    accuracy, mean_squared_error : Quality or None
        One of the two.
    inputs, neurons, synapses : int
        Inputs have the first ids, and are not placed on cores.
    spikes : float
        Spikes per sample of all neurons and inputs that have targets: the traffic.
    licences : tuple of str
        Of the network and of the data set.
    sha256 : str
        Of the file.
    sha256_hyperedges : str
        Of the list of hyperedges, see docs/instances.md.
    constraints : tuple of str
        Names of the hardware descriptions to map it on, of
        `benchmarks/instances/constraints/`.
    recipe : str
        Command that makes its graph from the recorded network.
    """

    name: str
    version: str
    network: str
    dataset: str
    pictures: int
    steps: int
    accuracy: Optional[Quality] = None
    mean_squared_error: Optional[Quality] = None
    inputs: int
    neurons: int
    synapses: int
    spikes: float
    licences: Tuple[str, ...]
    sha256: str
    sha256_hyperedges: str
    constraints: Tuple[str, ...]
    recipe: str

    @property
    def path(self) -> Path:
        """File of the graph."""
        return FOLDER / f"{self.name}.h5"


def instances() -> List[Instance]:
    """Return all instances by number of synapses and name."""
    records = [read_document(Instance, path) for path in FOLDER.glob("*.json")]
    return sorted(records, key=lambda instance: (instance.synapses, instance.name))


def find_instance(name: str) -> Instance:
    """Return an instance by its name; raise `UsageError` if there is none."""
    by_name = {instance.name: instance for instance in instances()}
    if name not in by_name:
        raise UsageError(
            f"{PREFIX}{name}: no such instance; there are {', '.join(by_name)}",
        )
    return by_name[name]


def named_instance(path: Path) -> Optional[str]:
    """Return the name in `instance:NAME`; None for the path of a file."""
    return path.name[len(PREFIX) :] if str(path).startswith(PREFIX) else None
