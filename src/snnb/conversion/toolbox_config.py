"""Files for the toolbox: options in its ini format, and a copy of the parsed model.

And its output as log messages.

The annotation `ToolboxKey` of an option names the toolbox's parameter.
"""

import contextlib
import importlib.util
import io
import json
import logging
import shutil
import warnings
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Sequence, Type, cast

from snnb.core.errors import InputError
from snnb.core.options import Options
from snnb.io.text import JsonValue

log = logging.getLogger(__name__)
# The toolbox's own `config_defaults`
DEFAULTS = Path(__file__).with_name("toolbox_defaults.ini")


@dataclass(frozen=True)
class ToolboxKey:
    """The parameter of the toolbox that a field sets."""

    section: str
    key: str
    # For a choice, the toolbox's name of each value
    words: Optional[Mapping[str, str]] = None


def toolbox_keys(kind: Type[Options]) -> Dict[str, ToolboxKey]:
    """Return the fields that are parameters of the toolbox, in order."""
    keys: Dict[str, ToolboxKey] = {}
    for name, field in kind.model_fields.items():
        for item in field.metadata:
            if isinstance(item, ToolboxKey):
                keys[name] = item
    return keys


def require_toolbox(option: str, instead: str) -> None:
    """Raise `InputError` if the toolbox is not installed.

    The message names an option, and another one in its place.
    """
    if importlib.util.find_spec("snntoolbox") is None:
        raise InputError(
            f"{option} needs snntoolbox 0.5, which is not installed: use {instead}, or "
            "the image snnb or Python 3.8, for which snntoolbox and TensorFlow 2.2 are",
        )


def defaults() -> ConfigParser:
    """Return the toolbox's own defaults; the toolbox need not be installed."""
    parser = _parser()
    parser.read_string(DEFAULTS.read_text(encoding="utf-8"))
    return parser


def configuration(
    name: str,
    options: Sequence[Options] = (),
    *,
    dataset_path: str = "../../dataset",
) -> ConfigParser:
    """Return the values of all toolbox parameters; all paths are relative.

    Fields of `options` with a `ToolboxKey` set its parameter; later options override
    earlier ones. All other parameters have the toolbox's defaults. The trained model is
    `name.h5`, the parsed one `name_parsed.h5`. The default of the data set's directory
    fits RUN/simulations/STAMP and a copy of it in RUN/simulations.
    """
    parser = defaults()
    parser.set("paths", "dataset_path", dataset_path)
    parser.set("paths", "filename_ann", name)
    parser.set("paths", "filename_parsed_model", f"{name}_parsed")
    parser.set("paths", "filename_snn", f"{name}_INI")
    parser.set("tools", "parse", "False")
    for kind in options:
        for field, place in toolbox_keys(type(kind)).items():
            value = getattr(kind, field)
            # So that it is read back exactly; an integer is written as in the toolbox.
            text = str(value)
            if isinstance(value, float) and value.is_integer():
                text = str(int(value))
            if place.words:
                text = place.words[value]
            parser.set(place.section, place.key, text)
    return parser


def write_changes(parameters: ConfigParser, path: Path) -> None:
    """Write the parameters that differ from the toolbox's defaults.

    The toolbox's `update_setup` loads them.
    """
    toolbox_defaults = defaults()
    changes = _parser()
    for section in parameters.sections():
        values: Dict[str, str] = {}
        for key, value in parameters.items(section, raw=True):
            if value != toolbox_defaults.get(section, key, raw=True):
                values[key] = value
        if values:
            changes[section] = values
    write_all(changes, path)


def write_all(parameters: ConfigParser, path: Path) -> None:
    """Write every parameter; the toolbox's `update_setup` loads them too."""
    with path.open("w", encoding="utf-8") as file:
        parameters.write(file)


def copy_for_toolbox(parsed_file: Path, target: Path, batch_size: int) -> None:
    """Copy a parsed model so that the toolbox's command line can simulate it.

    The copy has a fixed batch size, as a model of the toolbox's parser: without it, the
    toolbox fails when it counts the synapses of a strided convolution, and when it logs
    spikes.
    """
    from snnb.io.hdf5 import json_attribute, reading, writing

    with reading(parsed_file) as file:
        architecture = cast(
            Dict[str, JsonValue],
            json_attribute(file, "model_config", parsed_file),
        )
    shutil.copyfile(parsed_file, target)
    architecture["config"]["layers"][0]["config"]["batch_input_shape"][0] = batch_size
    with writing(target, "r+") as file:
        file.attrs["model_config"] = json.dumps(architecture).encode()


def _parser() -> ConfigParser:
    parser = ConfigParser()
    # The toolbox's keys keep their case
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send the toolbox's output to the log, and hide its deprecation warnings.

    Stdout carries results.
    """
    output = io.StringIO()
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(output), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
        for line in filter(
            str.strip,
            output.getvalue().replace("\r", "\n").split("\n"),
        ):
            log.debug("%s", line)
