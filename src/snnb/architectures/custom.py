"""Models of the user: a function in a Python file, or a trained model in a file."""

import importlib.util
import inspect
import os
import re
import sys
import traceback
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, MappingProxyType, ModuleType
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from snnb.architectures.registry import Hyperparameter, InputShape, names
from snnb.core.errors import InputError, UsageError, out_of_memory
from snnb.core.progress import say_nothing
from snnb.core.tensorflow_process import set_tensorflow_variables
from snnb.io.files import refuse_special
from snnb.model_files import lazy_keras as keras
from snnb.model_files.kinds import is_model_file, is_spiking_file, refuse_other_kinds

_PYTHON = re.compile(r"(?P<path>.+\.py)(:(?P<function>.*))?")
# In the environment: the file that this process, or one that has started it, executes
_IMPORTING = "SNNB_IMPORTING"
_FROM_DATA_SET = ("input_shape", "num_classes")


class OwnCodeError(InputError):
    """The user's code raised an error.

    `traceback_text` is the traceback without the frames before the user's file.
    """

    def __init__(self, origin: str, path: Path, error: BaseException) -> None:
        reason = str(error).strip().splitlines()[:1]
        super().__init__(
            f"{origin} raised "
            f"{type(error).__name__}{': ' + reason[0] if reason else ''}",
        )
        frame = error.__traceback__
        while frame is not None and frame.tb_frame.f_code.co_filename != str(path):
            frame = frame.tb_next
        self.traceback_text = "".join(
            traceback.format_exception(type(error), error, frame),
        )


@dataclass(frozen=True)
class OwnModel:
    """A model in a file of the user's."""

    # In snake case, of the names of file and function; never the name of a model of
    # this package
    name: str
    path: Path  # of the file, absolute
    # Name of the function that returns the model; None for a trained model
    function: Optional[str]
    # `build(input_shape=, num_classes=, **settings)` as for a model of this package.
    # The first two are passed to the user's function only if it has these parameters.
    # None for a trained model, which is read from its file.
    build: Optional[Callable[..., Any]]
    # Whether the function has a parameter `input_shape`; else the model fixes the
    # pictures
    takes_shape: bool = False
    # The function's other parameters whose defaults are numbers or tuples of numbers
    settings: Mapping[str, Hyperparameter] = field(
        default_factory=lambda: MappingProxyType({}),
    )

    def input_shape(self, picture_shape: InputShape, num_classes: int) -> InputShape:
        """Return the shape that the pictures must have: (height, width, channels).

        Unless the function has a parameter `input_shape`, the model is built to find
        out, which imports TensorFlow, or read from its file. `picture_shape` is the
        shape of the data set's pictures, which is returned if the function has the
        parameter.
        """
        if self.takes_shape:
            return picture_shape
        if is_spiking_file(self.path.name):
            from snnb.model_files.spiking_files import input_shape

            return input_shape(self.path, picture_shape)
        if self.build is None:
            from snnb.model_files.read_model import read_model

            height, width, channels = read_model(self.path, say_nothing).input.shape
        else:
            height, width, channels = self.build(
                input_shape=picture_shape,
                num_classes=num_classes,
            ).input_shape[1:]
        return (height, width, channels)


def is_own(model: str) -> bool:
    """Return whether the value of `--model` names a file rather than a model of this package."""
    return bool(_PYTHON.fullmatch(model)) or is_model_file(model)


def own_model(model: str) -> OwnModel:
    """Load the definition of `path/file.py:function` or of a trained model in a file; the model is not built yet.

    A Python file is executed, as by an import, once its function is named. Raise
    `UsageError` if the function is not named or not in the file, `InputError` if the
    file is missing or the function has a parameter without a default other than
    `input_shape` and `num_classes`, `OwnCodeError` if the file raised an error.
    """
    match = _PYTHON.fullmatch(model)
    path = Path(os.path.expanduser(match["path"] if match else model)).absolute()  # noqa: PTH111  keeps `~unknown`
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path given with --model")
    refuse_special(path)
    refuse_other_kinds(path)
    if match is None:
        return OwnModel(_own_name(path.stem), path, None, None)
    function = _function(path, match["function"])
    label = f"{path.name}:{function.__name__}"
    parameters: List[str] = []
    settings: Dict[str, Hyperparameter] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        parameters.append(name)
        if name in _FROM_DATA_SET:
            continue
        default = parameter.default
        if default is parameter.empty:
            raise InputError(
                f"{label} has a parameter {name} without a default: give it one; "
                f"only {' and '.join(_FROM_DATA_SET)} are set from the data set",
            )
        parts = default if isinstance(default, tuple) and default else (default,)
        if all(
            isinstance(part, (int, float)) and not isinstance(part, bool)
            for part in parts
        ):
            settings[name] = default

    def build(
        input_shape: InputShape,
        num_classes: Optional[int],
        **chosen: Hyperparameter,
    ) -> "keras.Model":
        arguments = {"input_shape": input_shape, "num_classes": num_classes}
        with _own_code(label, path):
            built = function(
                **{
                    name: value
                    for name, value in arguments.items()
                    if name in parameters
                },
                **chosen,
            )
        return _usable(built, label)

    own_name = _own_name(
        path.stem
        if function.__name__ == path.stem
        else f"{path.stem}_{function.__name__}",
    )
    takes_shape = "input_shape" in parameters
    return OwnModel(
        own_name,
        path,
        function.__name__,
        build,
        takes_shape,
        settings=MappingProxyType(settings),
    )


@contextmanager
def _own_code(origin: str, path: Path) -> Iterator[None]:
    """Run the user's code: errors become `OwnCodeError`, and output goes to stderr."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too
        if out_of_memory(error):
            raise
        modules = [
            str(frame.f_globals.get("__name__"))
            for frame, _ in traceback.walk_tb(error.__traceback__)
        ]
        in_recurrent_layer = any(".keras.layers.recurrent" in name for name in modules)
        # TensorFlow 2.2 cannot build one with numpy 1.20 or later.
        if isinstance(error, NotImplementedError) and in_recurrent_layer:
            raise InputError(
                f"{origin}: recurrent layers are not supported; use other Keras layers",
            ) from error
        raise OwnCodeError(origin, path, error) from error


def _function(path: Path, name: Optional[str]) -> Callable[..., Any]:
    if not name:
        # The file is not executed.
        function_names = _list_functions(
            re.findall(
                r"^def ([^\W_]\w*)",
                path.read_text(encoding="utf-8", errors="replace"),
                re.M,
            ),
        )
        raise UsageError(
            f"name the function in {path} that returns the model, as in "
            f"{path.name}:function; {function_names}",
        )
    module = _run(path)
    own_functions = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not key.startswith("_")
    ]
    function = getattr(module, name, None)
    if not inspect.isfunction(function):
        near = get_close_matches(name, own_functions, n=1)
        raise UsageError(
            f"{path} has no function {name}: "
            f"{f'did you mean {near[0]}?' if near else _list_functions(own_functions)}",
        )
    return function


def _list_functions(functions: Sequence[str]) -> str:
    return f"it has {', '.join(functions)}" if functions else "it has no function"


class _SourceLoader(SourceFileLoader):
    """Reads the source. Bytecode in `__pycache__` may be of another source."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _run(path: Path) -> ModuleType:
    importing = os.environ.get(_IMPORTING, "")
    if importing == str(path):
        raise UsageError(
            f"{path} starts snnb when snnb imports it: call snnb under `if __name__ "
            "== '__main__':`",
        )
    name = f"snnb_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(
        name,
        path,
        loader=_SourceLoader(name, str(path)),
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    set_tensorflow_variables()
    # The file may import modules of its folder, as a script can
    sys.path.insert(0, folder)
    # Nothing is written next to it
    no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    os.environ[_IMPORTING] = str(path)
    try:
        with _own_code(str(path), path):
            spec.loader.exec_module(module)
    finally:
        os.environ[_IMPORTING] = importing
        sys.dont_write_bytecode = no_bytecode
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _own_name(text: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return name if name and name not in names() else f"own_{name or 'model'}"


def _usable(model: object, origin: str) -> "keras.Model":
    """Return the model if it is sequential or functional, with one output and one input for pictures of fixed size."""
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{origin} returns {type(model).__name__}, not a tensorflow.keras.Model: "
            "return the model",
        )
    if not (isinstance(model, keras.Sequential) or model._is_graph_network):
        raise InputError(
            f"{origin} is a subclassed model without known layer connections: use "
            "Sequential or Model",
        )
    if not model.inputs:
        raise InputError(
            f"{origin} has no defined input: give its first layer an input_shape",
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"{origin} has {len(model.inputs)} inputs and {len(model.outputs)} "
            "outputs: exactly one of each is required",
        )
    batch, *shape = model.input_shape
    if len(shape) != 3 or None in shape:
        raise InputError(
            f"{origin} takes inputs of shape {tuple(shape)}: make it (height, width, "
            "channels), all fixed",
        )
    if batch is not None:
        raise InputError(
            f"{origin} takes exactly {batch} images per batch: leave the batch size "
            "undefined",
        )
    return model
