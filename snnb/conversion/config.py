"""The toolbox's configuration: typed values in, the toolbox's own ini file format out.

The toolbox keeps untyped strings and passes some of them through `eval`. Here the values are typed and checked before
they become strings, and nothing that is read back is evaluated.
"""

import importlib.util
import re
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

from snnb.errors import InputError, UsageError

# How the membrane potential is reset after a spike: our word, the toolbox's.
RESETS = {"subtraction": "Reset by subtraction", "zero": "Reset to zero"}


@dataclass(frozen=True)
class ToolboxConfig:
    """What of the toolbox's parameters this project ever sets; all others keep the toolbox's defaults.

    Attributes
    ----------
    name
        Model name: `name.h5` is the trained model, `name_parsed.h5` the parsed one.
    samples
        Number of samples simulated.
    duration
        Number of time steps of dt = 1 ms.
    batch_size
        Samples simulated at a time; also the batch that activations for the normalisation are computed with.
    threshold
        Membrane potential at which a neuron spikes.
    reset
        `subtraction` or `zero`, see `RESETS`.
    poisson, input_rate
        Poisson input instead of a constant current, and the rate in Hz of a pixel of value 1.
    percentile, schedule
        Of the activations whose value becomes a layer's scale factor; `schedule` lowers it with depth.
    max_pool_to_average
        Whether parsing replaced max pooling by average pooling.
    dataset_path
        Relative to the directory the toolbox is started in; by default as seen from RUN/simulations/<stamp>/ and from
        a copy placed beside it.
    """

    name: str
    samples: int = 1
    duration: int = 200
    batch_size: int = 1
    threshold: float = 1.0
    reset: str = "subtraction"
    poisson: bool = False
    input_rate: int = 1000
    percentile: float = 99.9
    schedule: bool = False
    max_pool_to_average: bool = False
    dataset_path: str = "../../dataset"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise UsageError(f"model name {self.name!r}: use letters, digits, '_', '-' and '.' only")
        for field in ("samples", "duration", "batch_size", "input_rate"):
            if getattr(self, field) < 1:
                raise UsageError(f"{field} = {getattr(self, field)}: give a whole number of at least 1")
        if not 0 < self.threshold < float("inf"):
            raise UsageError(f"threshold = {self.threshold}: give a number above 0")
        if not 0 < self.percentile <= 100:
            raise UsageError(f"percentile = {self.percentile}: give a number above 0 and at most 100")
        if self.reset not in RESETS:
            raise UsageError(f"reset = {self.reset!r}: choose one of {', '.join(RESETS)}")


def defaults() -> ConfigParser:
    """The toolbox's own defaults, read from its `config_defaults` without importing it."""
    spec = importlib.util.find_spec("snntoolbox")
    if spec is None or spec.origin is None:
        raise InputError("snntoolbox is not installed: install snnb with the extra `cpu` or `gpu`")
    parser = _parser()
    parser.read_string(Path(spec.origin).with_name("config_defaults").read_text())
    return parser


def configuration(config: ToolboxConfig) -> ConfigParser:
    """Every parameter in force, in the toolbox's form; no path in it is absolute."""
    parser = defaults()
    for section, values in _values(config).items():
        for key, value in values.items():
            parser.set(section, key, value)
    return parser


def write_config(config: ToolboxConfig, path: Path) -> None:
    """Write the parameters that differ from the toolbox's defaults; its own `update_setup` loads them."""
    usual, full, changed = defaults(), configuration(config), _parser()
    for section in full.sections():
        values = {k: v for k, v in full.items(section, raw=True) if v != usual.get(section, k, raw=True)}
        if values:
            changed[section] = values
    with path.open("w") as file:
        changed.write(file)


def write_full_config(config: ToolboxConfig, path: Path) -> None:
    """Write every parameter in force; the toolbox's own `update_setup` loads them too."""
    with path.open("w") as file:
        configuration(config).write(file)


def _parser() -> ConfigParser:
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the toolbox's keys keep their case
    return parser


def _number(value: float) -> str:
    """Exact when read back, and written as the toolbox writes it where it is whole."""
    return str(int(value)) if value == int(value) else repr(value)


def _values(config: ToolboxConfig) -> Dict[str, Dict[str, str]]:
    return {
        "paths": {
            "dataset_path": config.dataset_path,
            "filename_ann": config.name,
            "filename_parsed_model": f"{config.name}_parsed",
            "filename_snn": f"{config.name}_INI",
        },
        "input": {"poisson_input": str(config.poisson), "input_rate": str(config.input_rate)},
        "tools": {"parse": "False"},
        "normalization": {
            "percentile": _number(config.percentile),
            "normalization_schedule": str(config.schedule),
        },
        "conversion": {"max2avg_pool": str(config.max_pool_to_average)},
        "simulation": {
            "duration": str(config.duration),
            "batch_size": str(config.batch_size),
            "num_to_test": str(config.samples),
        },
        "cell": {"v_thresh": _number(config.threshold), "reset": RESETS[config.reset]},
    }
