"""The toolbox's configuration: typed and checked options become the toolbox's own ini format.

The toolbox keeps untyped strings and passes some of them through `eval`. Here an option states beside its type which
parameter of the toolbox it is (`snnb.core.options.ToolboxKey`), and nothing that is read back is evaluated.
"""

import importlib.util
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Sequence

from snnb.core.errors import InputError, UsageError, how_to_install
from snnb.core.options import Options, toolbox_keys


def defaults() -> ConfigParser:
    """Read the toolbox's own defaults from its file `config_defaults`, without importing the toolbox.

    Raises
    ------
    InputError
        The toolbox is not installed.
    """
    spec = importlib.util.find_spec("snntoolbox")
    if spec is None or spec.origin is None:
        raise InputError(f"snntoolbox is not installed: {how_to_install('cpu')}, or '.[gpu]' for CUDA")
    parser = _parser()
    parser.read_string(Path(spec.origin).with_name("config_defaults").read_text())
    return parser


def configuration(name: str, options: Sequence[Options] = (), *, dataset_path: str = "../../dataset") -> ConfigParser:
    """Return every parameter of the toolbox in force; no path among them is absolute.

    Parameters
    ----------
    name : str
        Name of the model: `name.h5` is the trained model, `name_parsed.h5` the parsed one.
    options : sequence of Options
        Their fields with a `ToolboxKey` are set. The later options win. All other parameters keep the toolbox's
        defaults.
    dataset_path : str
        Folder of the data set, relative to the folder that the toolbox is started in. The default fits
        RUN/simulations/STAMP, and a copy of that placed beside it.

    Raises
    ------
    UsageError
        The name has characters that the toolbox could take for more than a name.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(f"model name {name!r}: use letters, digits, '_', '-' and '.' only")
    parser = defaults()
    parser.set("paths", "dataset_path", dataset_path)
    parser.set("paths", "filename_ann", name)
    parser.set("paths", "filename_parsed_model", f"{name}_parsed")
    parser.set("paths", "filename_snn", f"{name}_INI")
    parser.set("tools", "parse", "False")
    for kind in options:
        for field, place in toolbox_keys(type(kind)).items():
            value = getattr(kind, field)
            parser.set(place.section, place.key, place.words[value] if place.words else _text(value))
    return parser


def write_changes(parameters: ConfigParser, path: Path) -> None:
    """Write the parameters that differ from the toolbox's defaults; its own `update_setup` loads them."""
    usual, changed = defaults(), _parser()
    for section in parameters.sections():
        values = {k: v for k, v in parameters.items(section, raw=True) if v != usual.get(section, k, raw=True)}
        if values:
            changed[section] = values
    write_all(changed, path)


def write_all(parameters: ConfigParser, path: Path) -> None:
    """Write every parameter; the toolbox's own `update_setup` loads them too."""
    with path.open("w") as file:
        parameters.write(file)


def _parser() -> ConfigParser:
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the toolbox's keys keep their case
    return parser


def _text(value: object) -> str:
    """Write a value so that it is read back exactly; a whole number is written as the toolbox writes it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
