"""Stage `prepare`: convert a data set to memory-mapped arrays and to the three npz files of snntoolbox."""

import math
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Tuple, cast

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Progress, say_nothing, silent
from snnb.core.quantities import Quantity, view
from snnb.datasets.catalogue import find_dataset
from snnb.datasets.definition import Content, LoadedDataset, PreparedSplit
from snnb.datasets.preparation_settings import PreparationSettings
from snnb.model_files.kinds import is_spiking_file
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external_files import external_records
from snnb.rundir.manifest import Record
from snnb.stages.model import Shape, input_shape, model_file, model_of, packaged
from snnb.stages.stage import Given, Stage, recorded, recorded_details, resolve_params

if TYPE_CHECKING:
    import numpy as np


# Test samples on which changes of a network are measured, at most
FIDELITY_SAMPLES = 1000
FIDELITY_VALUES = 200_000_000  # pixels of these samples, at most
BYTE = 255.0
NO_NORM_SAMPLES = "--norm-samples: ignored, because the data set has no training images"


class PrepareDetails(Record):
    """Origin and content of the arrays; a pixel is stored value / `scale`."""

    dataset: str
    version: str
    licence: str
    source: str
    scale: float = Field(gt=0)
    class_names: List[str]
    splits: Dict[str, PreparedSplit]
    content: Content = "pictures"
    outside: Optional[int] = None  # events outside the sensor, which are ignored
    train_samples: Annotated[Optional[int], Quantity("train samples")] = None
    norm_samples: Annotated[Optional[int], Quantity("samples for normalisation")] = None
    test_samples: Annotated[Optional[int], Quantity("test samples")] = None
    # Whether the test samples are currents that are whole numbers from 0 on, and may be
    # spikes
    whole: bool = False

    @property
    def floats(self) -> bool:
        """Whether the images are float32, which a model reads without scaling."""
        return self.content == "pictures" and self.splits["test"].dtype == "float32"

    @property
    def unit_pixels(self) -> bool:
        """Whether all pixels are in [0, 1]."""
        ranges = [
            split.values for split in self.splits.values() if split.values is not None
        ]
        return all(low >= 0 and high <= self.scale for low, high in ranges)

    @property
    def pixel_scale(self) -> float:
        """Factor by which an integer network multiplies pixels before it rounds them."""
        return BYTE if self.floats else self.scale

    @property
    def codings(self) -> Tuple[str, ...]:
        """Codings of the input of a simulation of the test set, the default first."""
        if self.content == "pictures":
            return ("constant", "poisson") if self.unit_pixels else ("constant",)
        if self.splits["test"].dtype == "uint32":
            return ("events",)
        return ("steps", "events") if self.whole else ("steps",)


SUMMARY = view("train_samples", "test_samples", "norm_samples", of=[PrepareDetails])


def _shape_and_fit(run: RunDirectory, shape: Optional[Shape]) -> Tuple[Shape, str]:
    """Return the shape of the pictures and how they are fitted to it; `shape` is the option, None if it is not given.

    A user's model, which may be a Python file, is opened only if the recorded shape is
    another one. For such a model, `fit` tells whether the recorded shape was given.
    """
    record = recorded(run, STAGE)
    if record is not None and run.manifest.run.model_source is not None:
        params = record.params
        if shape == (params.shape if params.fit == "resize" else None):
            return params.shape, params.fit
    return input_shape(run.manifest.run, shape)


def _check_labels(run: RunDirectory, dataset: LoadedDataset) -> None:
    """Raise `InputError` for a label that is not the number of an output of a trained network.

    Spiking networks are not checked here: `simulate` does it.
    """
    file = model_file(run.manifest.run)
    if file is None or is_spiking_file(str(file)):
        return
    from snnb.model_files.read_model import read_model

    outputs = math.prod(read_model(file, say_nothing).output.shape)
    for part, samples in (("train", dataset.train), ("test", dataset.test)):
        if samples is None or not (samples.labels >= outputs).any():
            continue
        position = int((samples.labels >= outputs).argmax())
        label = samples.labels[position]
        raise InputError(
            f"y_{part}: label {label} of sample {position} is not from 0 to "
            f"{outputs - 1:,}: {file} has {outputs:,} outputs; correct the label, or "
            "give another model",
        )


def require_training_set(run: RunDirectory, purpose: str) -> None:
    """Raise `InputError`, which names the purpose, if the prepared data set has no training set."""
    details = recorded_details(run, STAGE)
    if "train" not in details.splits:
        layout = find_dataset(details.dataset).spec.layout
        raise InputError(
            f"{purpose} needs training images, and {details.dataset} has none: add "
            f"them ({layout})",
        )


def class_count(run: RunDirectory) -> Optional[int]:
    """Return the number of classes of the prepared data set; None for a model that reconstructs its input."""
    spec = packaged(run.manifest.run)
    return (
        None
        if spec is not None and spec.num_classes is None
        else len(recorded_details(run, STAGE).class_names)
    )


def samples_file(run: RunDirectory) -> str:
    """Return the path of the prepared test samples in the run."""
    return f"dataset/x_test.{'npy' if recorded_details(run, STAGE).content == 'pictures' else 'h5'}"


def dataset_array(run: RunDirectory, name: str) -> "np.ndarray":
    """Map an array of the prepared data set into memory: "x_train", "y_train", "x_test" or "y_test"."""
    from snnb.io.npy import load_array

    return load_array(run.path / "dataset" / f"{name}.npy")


def fidelity_samples(run: RunDirectory) -> "Tuple[np.ndarray, np.ndarray]":
    """Return the test samples on which changes of a network are measured: at most 1,000, and less than a gigabyte.

    They are float32 pixels, shape (samples, height, width, channels), with their class
    numbers.
    """
    import numpy as np

    x, y = dataset_array(run, "x_test"), dataset_array(run, "y_test")
    samples = max(1, min(FIDELITY_SAMPLES, FIDELITY_VALUES // math.prod(x.shape[1:])))
    pixels: np.ndarray = x[:samples] / np.float32(recorded_details(run, STAGE).scale)
    return pixels.astype(np.float32, copy=False), np.asarray(y[:samples])


def normalisation_set(run: RunDirectory) -> "np.ndarray":
    """Read `dataset/x_norm.npz`: float32 of shape (samples, height, width, channels)."""
    from snnb.io.npy import load_archive

    arrays: Dict[str, np.ndarray] = load_archive(
        run.path / "dataset" / "x_norm.npz",
        must=["arr_0"],
    )
    return arrays["arr_0"]


class PrepareStage(Stage[PreparationSettings, PrepareDetails]):
    """Convert a data set to memory-mapped arrays and to the three npz files of snntoolbox."""

    def resolve(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> PreparationSettings:
        """Return the parameters; the default of `shape` is the shape that the model requires."""
        shape, fit = _shape_and_fit(run, cast("Optional[Shape]", options.get("shape")))
        given_options = {**options, "shape": shape, "fit": fit}
        return resolve_params(
            STAGE, given_options, {"dataset": run.manifest.run.dataset}
        )

    def defaults(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Return the shape that the model requires, if the model or the data set fixes it."""
        try:
            return {"shape": input_shape(run.manifest.run, None)[0]}
        except UsageError:
            return {}

    def without_effect(self, run: RunDirectory, options: Given) -> Mapping[str, str]:
        """Return, by name, why options have no effect with the options of all stages."""
        if run.manifest.run.imported:  # the directory may be in the environment
            names = [
                name for name in PreparationSettings.model_fields if name != "data_dir"
            ]
            return dict.fromkeys(names, "an external graph has no data set; omit it")
        dataset = find_dataset(run.manifest.run.dataset)
        reasons = {}
        if is_spiking_file(str(model_file(run.manifest.run) or "")):
            reasons["norm_samples"] = "a spiking network is not normalised; omit it"
            if dataset.official_order:
                reasons["seed"] = f"nothing in {dataset.spec.name} is random; omit it"
        if dataset.spec.content != "events":
            reasons.update(
                dict.fromkeys(("bin_us", "binary"), "only for event data sets"),
            )
        return reasons

    def execute(
        self,
        run: RunDirectory,
        params: PreparationSettings,
        options: Mapping[str, object],
        progress: Progress = silent,
    ) -> None:
        """Read the data set and write `dataset/`."""
        from snnb.datasets.preparation import open_dataset, write_arrays

        spec = find_dataset(params.dataset).spec
        with run.stage("prepare", params, options, inputs=[]) as output:
            num_classes = model_of(run).num_classes if spec.num_classes else None
            loaded_dataset = open_dataset(
                params, num_classes=num_classes, progress=progress
            )
            _check_labels(run, loaded_dataset)
            # Hashed before samples are read: arrays of a file that is changed meanwhile
            # are stale. The few seconds in which MNIST, CIFAR and .npz files are
            # opened, all samples at once, are not covered.
            output.external = external_records(loaded_dataset.sources, progress)
            details = write_arrays(loaded_dataset, params, output.directory, progress)
            unused_labels = (
                loaded_dataset.train is None
                and params.norm_samples
                != PreparationSettings.model_fields["norm_samples"].default
            )
            output.warnings = [
                *details.warnings,
                *([NO_NORM_SAMPLES] if unused_labels else []),
            ]
            output.details = PrepareDetails(
                dataset=spec.name,
                version=loaded_dataset.version,
                licence=spec.licence,
                source=spec.source,
                scale=details.scale,
                class_names=loaded_dataset.class_names,
                splits=details.splits,
                content=spec.content,
                outside=details.outside,
                **{
                    f"{name}_samples": split.shape[0]
                    for name, split in details.splits.items()
                },
                whole=details.whole,
            )


STAGE = PrepareStage("prepare", "dataset", PreparationSettings, PrepareDetails, SUMMARY)
