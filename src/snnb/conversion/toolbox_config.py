"""The toolbox's configuration: options as the toolbox's ini format; and its output as log messages.

The annotation `snnb.core.options.ToolboxKey` of an option names the toolbox's parameter.
"""

import contextlib
import importlib.util
import io
import logging
import re
import warnings
from configparser import ConfigParser
from pathlib import Path
from typing import Dict, Iterator, Sequence

from snnb.core.errors import InputError, UsageError
from snnb.core.options import Options, toolbox_keys

log = logging.getLogger(__name__)


def has_toolbox() -> bool:
    """Return whether the toolbox is installed."""
    return importlib.util.find_spec("snntoolbox") is not None


def require_toolbox(option: str, instead: str) -> None:
    """Raise `InputError` with a line that names an option and another one if the toolbox is not installed."""
    if not has_toolbox():
        raise InputError(
            f"{option} needs snntoolbox 0.5, which is not installed: use {instead}, or the image snnb or Python 3.8, "
            "for which snntoolbox and TensorFlow 2.2 are"
        )


def defaults() -> ConfigParser:
    """Return the toolbox's own defaults; the toolbox need not be installed."""
    parser = _parser()
    parser.read_dict(DEFAULTS)
    return parser


def configuration(name: str, options: Sequence[Options] = (), *, dataset_path: str = "../../dataset") -> ConfigParser:
    """Return every parameter of the toolbox in force; all paths are relative.

    Parameters
    ----------
    name : str
        Name of the model: `name.h5` is the trained model, `name_parsed.h5` the parsed one.
    options : sequence of Options
        Fields with a `ToolboxKey` set its parameter; later options override earlier ones. All other parameters have the
        toolbox's defaults.
    dataset_path : str
        Directory of the data set, relative to the working directory of the toolbox. The default fits
        RUN/simulations/STAMP and a copy of it in RUN/simulations.
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
    """Write the parameters that differ from the toolbox's defaults; the toolbox's `update_setup` loads them."""
    usual, changed = defaults(), _parser()
    for section in parameters.sections():
        values = {k: v for k, v in parameters.items(section, raw=True) if v != usual.get(section, k, raw=True)}
        if values:
            changed[section] = values
    write_all(changed, path)


def write_all(parameters: ConfigParser, path: Path) -> None:
    """Write every parameter; the toolbox's `update_setup` loads them too."""
    with path.open("w") as file:
        parameters.write(file)


def _parser() -> ConfigParser:
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the toolbox's keys keep their case
    return parser


def _text(value: object) -> str:
    """Write a value so that it is read back exactly; an integer is written as in the toolbox."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send the toolbox's output to the log, since stdout carries results, and hide its deprecation warnings."""
    printed = io.StringIO()
    of_tensorflow = logging.getLogger("tensorflow")
    level = of_tensorflow.level
    of_tensorflow.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        of_tensorflow.setLevel(level)
        for line in filter(str.strip, printed.getvalue().replace("\r", "\n").split("\n")):
            log.debug("%s", line)


DEFAULTS: Dict[str, Dict[str, str]] = {
    "paths": {
        "path_wd": "",
        "dataset_path": "",
        "log_dir_of_current_run": "",
        "runlabel": "test",
        "filename_ann": "",
        "filename_parsed_model": "",
        "filename_snn": "",
        "filename_clamp_indices": "",
        "filepath_custom_objects": "",
        "class_idx_path": "",
    },
    "input": {
        "model_lib": "keras",
        "dataset_format": "npz",
        "datagen_kwargs": "{}",
        "dataflow_kwargs": "{}",
        "poisson_input": "False",
        "input_rate": "1000",
        "num_poisson_events_per_sample": "-1",
        "num_dvs_events_per_sample": "2000",
        "eventframe_width": "10",
        "label_dict": "{}",
        "chip_size": "None",
        "frame_gen_method": "",
        "is_x_first": "",
        "is_x_flipped": "",
        "is_y_flipped": "",
        "maxpool_subsampling": "True",
        "do_clip_three_sigma": "True",
        "keras_dataset": "",
    },
    "tools": {
        "evaluate_ann": "True",
        "parse": "True",
        "normalize": "True",
        "convert": "True",
        "simulate": "True",
        "serialise_only": "False",
    },
    "normalization": {
        "percentile": "99.9",
        "normalization_schedule": "False",
        "online_normalization": "False",
        "diff_to_max_rate": "200",
        "diff_to_min_rate": "100",
        "timestep_fraction": "10",
    },
    "conversion": {
        "softmax_to_relu": "False",
        "maxpool_type": "fir_max",
        "max2avg_pool": "False",
        "spike_code": "temporal_mean_rate",
        "num_bits": "32",
    },
    "simulation": {
        "simulator": "INI",
        "duration": "200",
        "dt": "1",
        "batch_size": "1",
        "num_to_test": "1",
        "sample_idxs_to_test": "[]",
        "reset_between_nth_sample": "1",
        "top_k": "1",
        "keras_backend": "tensorflow",
        "early_stopping": "False",
    },
    "spinnaker": {
        "number_of_neurons_per_core": "64",
    },
    "cell": {
        "v_thresh": "1",
        "tau_refrac": "0",
        "v_reset": "0",
        "v_rest": "0",
        "cm": "1",
        "tau_m": "1000",
        "tau_syn_E": "0.01",
        "tau_syn_I": "0.01",
        "delay": "0",
        "binarize_weights": "False",
        "quantize_weights": "False",
        "scaling_factor": "10000000",
        "payloads": "False",
        "reset": "Reset by subtraction",
        "leak": "False",
        "bias_relaxation": "False",
    },
    "parameter_sweep": {
        "param_values": "[]",
        "param_name": "v_thresh",
        "param_logscale": "False",
    },
    "output": {
        "log_vars": "{}",
        "plot_vars": "{}",
        "verbose": "1",
        "overwrite": "True",
        "use_simple_labels": "True",
        "plotproperties": "\n".join(
            [
                "{",
                "'font.size': 13,",
                "'axes.titlesize': 'xx-large',",
                "'axes.labelsize': 'xx-large',",
                "'xtick.labelsize': 'xx-large',",
                "'xtick.major.size': 7,",
                "'xtick.minor.size': 5,",
                "'ytick.labelsize': 'xx-large',",
                "'ytick.major.size': 7,",
                "'ytick.minor.size': 5,",
                "'legend.fontsize': 'xx-large',",
                "'figure.figsize': (7, 6),",
                "'savefig.format': 'png'}",
            ]
        ),
    },
    "restrictions": {
        "model_libs": "{'keras', 'lasagne', 'caffe', 'pytorch'}",
        "dataset_formats": "{'npz', 'jpg', 'aedat'}",
        "frame_gen_method": "{'signed_sum', 'rectified_sum'}",
        "maxpool_types": "{'fir_max', 'exp_max', 'avg_max'}",
        "simulators_pyNN": "{'nest', 'brian', 'neuron', 'spiNNaker'}",
        "simulators_other": "{'INI', 'brian2', 'MegaSim', 'loihi'}",
        "simulators": "%(simulators_pyNN)s | %(simulators_other)s",
        "keras_backends": "{'theano', 'tensorflow'}",
        "spike_codes": "\n".join(
            ["{'temporal_mean_rate', 'temporal_pattern', 'ttfs',", "'ttfs_dyn_thresh', 'ttfs_corrective'}"]
        ),
        "spiking_layers": "\n".join(
            [
                "{'Dense', 'Conv1D', 'Conv2D', 'DepthwiseConv2D', 'MaxPooling2D',",
                "'AveragePooling2D', 'Sparse', 'SparseConv2D',",
                "'SparseDepthwiseConv2D'}",
            ]
        ),
        "snn_layers": "\n".join(["%(spiking_layers)s | {'Reshape', 'Flatten', 'Concatenate',", "'ZeroPadding2D'}"]),
        "cellparams_pyNN": "\n".join(
            ["{'v_thresh', 'v_reset', 'v_rest', 'cm', 'tau_refrac',", "'tau_m', 'tau_syn_E', 'tau_syn_I'}"]
        ),
        "log_vars": "\n".join(
            [
                "{'activations_n_b_l', 'spiketrains_n_b_l_t', 'input_b_l_t',",
                "'mem_n_b_l_t', 'synaptic_operations_b_t', 'neuron_operations_b_t',",
                "'all'}",
            ]
        ),
        "plot_vars": "\n".join(
            [
                "{'activations', 'spiketrains', 'spikecounts', 'spikerates',",
                "'input_image', 'error_t', 'confusion_matrix', 'correlation',",
                "'hist_spikerates_activations', 'normalization_activations',",
                "'operations', 'v_mem', 'all'}",
            ]
        ),
    },
}
