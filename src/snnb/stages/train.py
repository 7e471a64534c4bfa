"""Stage `train`: train the Keras network, or evaluate a model that is already trained."""

import shutil
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterable,
    List,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
    cast,
)

from pydantic import AfterValidator, Field
from typing_extensions import Annotated

from snnb.architectures import checked_hyperparameters
from snnb.architectures.registry import Hyperparameter
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.core.errors import UsageError
from snnb.core.options import (
    AbsolutePath,
    Count,
    Flag,
    Options,
    from_pairs,
    recorded_values,
    typed,
    valid_defaults,
)
from snnb.core.progress import Progress, silent
from snnb.core.quantities import view
from snnb.io.text import JsonValue
from snnb.model_files.kinds import is_spiking_file
from snnb.plots.figure_format import FIGURES_DEFAULT, Figures
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external_files import file_record, is_on_this_machine
from snnb.rundir.manifest import Record
from snnb.simulation.settings import OF_CONVERTED, SimulationSettings
from snnb.stages import prepare
from snnb.stages.model import Model, model_file, model_of, packaged
from snnb.stages.stage import (
    Given,
    PlannedRun,
    Stage,
    figure_format,
    option_value,
    recorded,
    recorded_details,
    resolve_params,
)
from snnb.training.history import TestAccuracy, TestError, TestLoss
from snnb.training.recipe import Recipe, TrainingOptions

if TYPE_CHECKING:
    import numpy as np

    from snnb.model_files.keras import keras
    from snnb.training.batches import LabelledPictures

BOUND_SAMPLES = 64  # samples whose activations give the initial λ of qcfs
Setting = Union[bool, int, float, str, Tuple[Union[int, float], ...]]


def _readable(pixels: str) -> str:
    from snnb.model_files.fold_pixels import parse_pixels

    parse_pixels(pixels)
    return pixels


CHECKPOINT = ".checkpoint"


class TrainParams(TrainingOptions):
    """Options of `snnb train`."""

    defaults_elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(Recipe.model_fields, "the model's"),
        "steps_per_epoch": "all",
        "pixels": "0-1, or that of its Rescaling layer",
        "figures": FIGURES_DEFAULT,
    }

    settings: Annotated[
        Dict[str, Setting],
        Flag(name="--set", metavar="K=V", parse=from_pairs, repeated=True),
    ] = Field(
        default_factory=dict,
        description="Hyper-parameter of the model; repeatable.",
    )
    activation: Annotated[Literal["relu", "qcfs"], Flag(panel="QCFS")] = Field(
        default="relu",
        description="Activation of hidden layers.",
    )
    levels: Annotated[Count, Flag(panel="QCFS")] = Field(
        default=8,
        description="QCFS quantisation levels (= number of time steps).",
    )
    initial_weights: Optional[AbsolutePath] = Field(
        default=None,
        description="Initial weights: a .h5 file of the same model.",
    )
    resume: Optional[bool] = Field(
        default=None,
        exclude=True,
        description="Resume an interrupted training. Default: if options are equal.",
    )
    pixels: Annotated[
        Optional[Annotated[str, AfterValidator(_readable)]],
        Flag(metavar="TEXT"),
    ] = Field(
        default=None,
        description=(
            "Pixel scaling of a model file: caffe, torch, tf, 0-1, 0-255, or "
            "mean=0.5,std=0.25."
        ),
    )
    figures: Figures = None


class TrainDetails(Record):
    """Result of the training."""

    epochs_run: int
    # Hyper-parameters of the model
    default_settings: Dict[str, Setting] = Field(default_factory=dict)
    test_accuracy: TestAccuracy = None
    test_loss: TestLoss = None
    test_mean_squared_error: TestError = None


SUMMARY = view(
    "test_accuracy",
    "test_loss",
    "test_mean_squared_error",
    of=[TrainDetails],
)


def _default_settings(run: RunDirectory) -> Mapping[str, Setting]:
    """Return the hyper-parameters of the model with their defaults.

    A user's Python file is opened only if it is not the one of the recorded training,
    whose defaults are recorded.
    """
    record = recorded(run, STAGE)
    if run.manifest.run.model_source is None or record is None:
        return model_of(run).settings
    files = [file for file in record.inputs if file.external]
    if all(not is_on_this_machine(file) or run.hashes.matches(file) for file in files):
        return record.details.default_settings
    return model_of(run).settings


def is_spiking(run: RunDirectory) -> bool:
    """Whether the model is a spiking network, in a file of NIR or lava-dl."""
    return is_spiking_file(str(model_file(run.manifest.run) or ""))


def trained_file(run: RunDirectory) -> str:
    """Return the path of the trained model in the run."""
    ending = ".h5"
    if is_spiking(run):
        ending = Path(str(model_file(run.manifest.run))).suffix.lower()
    return f"train/{run.model}{ending}"


def is_quantised(run: RunDirectory, options: Given) -> bool:
    """Whether the network is trained with quantised activations, with these options of all stages.

    A network that is trained already may be.
    """
    return (
        is_trained_elsewhere(run)
        or option_value(STAGE, options, "activation") == "qcfs"
    )


def is_trained_elsewhere(run: RunDirectory) -> bool:
    """Whether the model is from a file that holds its weights, so that `train` only evaluates it."""
    return model_file(run.manifest.run) is not None


def shown_params(run: RunDirectory, params: Options) -> Dict[str, JsonValue]:
    """Return the parameters of a stage that apply to the model, for display."""
    left_out = set(inapplicable(run, params))
    return {
        name: value
        for name, value in params.model_dump(mode="json").items()
        if name not in left_out
    }


def inapplicable(run: RunDirectory, params: Options) -> Iterable[str]:
    """Return the names of the options that do not apply to the model of a run."""
    spiking = not run.manifest.run.imported and is_spiking(run)
    if isinstance(params, TrainParams):
        kept_options = set() if spiking else {"pixels"}
        return (
            TrainParams.model_fields.keys() - kept_options
            if is_trained_elsewhere(run)
            else ()
        )
    if isinstance(params, SimulationSettings):
        return (*OF_CONVERTED, "batch_size") if spiking else ()
    return (
        ConversionSettings.model_fields
        if spiking and isinstance(params, ConversionSettings)
        else ()
    )


def builder(
    run: RunDirectory,
    model: Model,
    params: TrainParams,
) -> Callable[[], "keras.Model"]:
    """Return a function without arguments that builds the untrained model of the run for its prepared data set."""
    build_network, shape = (
        model.build,
        recorded_details(run, prepare.STAGE).splits["test"].shape[1:],
    )
    assert build_network is not None

    def build() -> "keras.Model":
        from snnb.training.keras_model import load_weights
        from snnb.training.qcfs import quantised, start_from

        model = build_network(
            input_shape=tuple(shape),
            num_classes=prepare.class_count(run),
            **params.settings,
        )
        if params.initial_weights is not None:
            load_weights(model, params.initial_weights)
        if params.activation == "relu":
            return model
        new = quantised(model, params.levels, params.seed)
        if params.initial_weights is not None:
            start_from(new, model, prepare.normalisation_set(run)[:BOUND_SAMPLES])
        return new

    return build


def pixels_of(run: RunDirectory, params: TrainParams) -> Optional[str]:
    """Return the pixels that a trained model takes, see `snnb.model_files.fold_pixels.parse_pixels`."""
    from snnb.model_files.fold_pixels import RAW

    return params.pixels or (
        RAW if recorded_details(run, prepare.STAGE).floats else None
    )


def _labelled_pictures(run: RunDirectory, part: str) -> "LabelledPictures":
    """Return the prepared pictures of "train" or "test", mapped into memory."""
    from snnb.training.batches import LabelledPictures

    x, y = (prepare.dataset_array(run, f"{axis}_{part}") for axis in "xy")
    return LabelledPictures(
        x,
        y,
        recorded_details(run, prepare.STAGE).scale,
        prepare.class_count(run),
    )


def _advice(preparation: prepare.PrepareDetails) -> str:
    """Return advice for an external model whose accuracy is close to chance."""
    from snnb.datasets.preparation import dark_pixels

    if preparation.floats:
        return (
            "write the arrays with the values that the model was trained on, or give "
            "--pixels"
        )
    dark = dark_pixels(
        {"test": (preparation.splits["test"].values or (0.0, preparation.scale))[1]},
        preparation.scale,
    )
    pixels = (
        "if the model expects other pixels, give --pixels (0-255, torch, caffe, tf or "
        "mean=…,std=…)"
    )
    return dark[0] if dark else pixels


def _copy_spiking(
    run: RunDirectory,
    model: Model,
    params: TrainParams,
    options: Mapping[str, object],
) -> None:
    """Write `train/` of a spiking network: only its file."""
    assert model.file is not None
    with run.stage("train", params, options, inputs=[]) as output:
        if run.manifest.run.model_source is not None:
            output.external = [file_record(model.file)]
        name = Path(trained_file(run)).name
        shutil.copyfile(model.file, output.directory / name)
        output.details = TrainDetails(epochs_run=0)


class _TrainingResult(NamedTuple):
    """What the stage records of a training, or of the test of a trained model."""

    metrics: Mapping[str, Any]
    confusion: "Optional[np.ndarray]"  # int64 (classes, classes); None: no classifier
    epochs: int
    warnings: Sequence[str]


def _evaluate_pretrained(
    run: RunDirectory,
    model: Model,
    params: TrainParams,
    directory: Path,
    notes: Dict[str, None],
    progress: Progress,
) -> _TrainingResult:
    """Read a trained model, verify and test it, and write it as HDF5.

    The reader adds its notes to `notes`.
    """
    import numpy as np

    from snnb.forward.analogue import VERIFIED_SAMPLES
    from snnb.model_files.keras_files import write_keras_h5
    from snnb.model_files.read_model import read_model
    from snnb.training.pretrained import evaluate_pretrained, verify_onnx

    assert model.file is not None
    test_set = _labelled_pictures(run, "test")
    pixels = pixels_of(run, params)
    network = read_model(model.file, notes.setdefault, pixels)
    if model.file.suffix.lower() == ".onnx":
        pictures = np.asarray(test_set.x[:VERIFIED_SAMPLES], np.float32)
        scaled_pictures = pictures / np.float32(test_set.scale)
        verify_onnx(model.file, network, pixels, scaled_pictures)
    metrics, confusion = evaluate_pretrained(network, test_set, directory, progress)
    write_keras_h5(network, directory / f"{run.model}.h5", run.model)
    return _TrainingResult(metrics, confusion, 0, [])


def _train_model(
    run: RunDirectory,
    model: Model,
    params: TrainParams,
    options: Mapping[str, object],
    directory: Path,
    progress: Progress,
) -> _TrainingResult:
    """Train a model with Keras, and write it with a figure of the training."""
    from snnb.io.figures import save
    from snnb.plots.training import plot_training
    from snnb.training import fit

    test_set = _labelled_pictures(run, "test")
    result = fit.train(
        builder(run, model, params),
        _labelled_pictures(run, "train"),
        test_set,
        params,
        model_file=directory / f"{run.model}.h5",
        checkpoint=run.path / CHECKPOINT,
        resume=params.resume,
        options_given=recorded_values(TrainParams, options),
        progress=progress,
    )
    earlier_record = recorded(run, STAGE)
    figures = figure_format(params.figures, earlier_record, "training_plot")
    figure = plot_training(result.document, result.history, run.model)
    save(figure, directory / f"training_plot.{figures}")
    epochs = len(result.history)
    return _TrainingResult(result.metrics, result.confusion, epochs, result.warnings)


class TrainStage(Stage[TrainParams, TrainDetails]):
    """Train the Keras network, or evaluate a model that is already trained."""

    def resolve(self, run: RunDirectory, options: Mapping[str, object]) -> TrainParams:
        """Return the parameters; values of the model's recipe are defaults if they are valid with the options."""
        defaults = self.defaults(run, options)
        settings = cast("Mapping[str, object]", options.get("settings", {}))
        is_own_model = run.manifest.run.model_source is not None
        hyperparameters = checked_hyperparameters(
            settings,
            cast("Mapping[str, Hyperparameter]", defaults["settings"]),
            is_own_model=is_own_model,
        )
        return resolve_params(STAGE, {**options, "settings": hyperparameters}, defaults)

    def defaults(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Return the recipe of the model, as far as it is valid with the options, and its hyper-parameters."""
        spec = packaged(run.manifest.run)
        recipe = Recipe() if spec is None else spec.recipe
        defaults = valid_defaults(TrainParams, recipe.model_dump(), options)
        return {**defaults, "settings": dict(_default_settings(run))}

    def without_effect(self, run: RunDirectory, options: Given) -> Mapping[str, str]:
        """Return, by name, why options have no effect with the options of all stages."""
        if is_trained_elsewhere(run):
            name = run.manifest.run.model_source or run.model
            reason = f"{name} is already trained, so the option has no effect; omit it"
            used = () if is_spiking(run) else ("pixels", "batch_size")
            return {
                name: reason for name in TrainParams.model_fields if name not in used
            }
        reasons = {}
        if not is_quantised(run, options):
            reasons["levels"] = "only with --activation qcfs"
        return {
            **reasons,
            "pixels": (
                "only for a trained model in a file; a model to be trained takes "
                "pixels in [0, 1]"
            ),
        }

    def unfinished_options(
        self, run: RunDirectory, options: Mapping[str, object]
    ) -> Optional[Mapping[str, object]]:
        """Return the options of an interrupted training.

        A command continues it with `--resume`, or if the run has no training yet.
        """
        resume = options.get("resume")
        if resume is None:
            resume = run.record_of(STAGE.name) is None
        if not resume or is_trained_elsewhere(run):
            return None
        from snnb.training.checkpoint import checkpoint_options

        options_by_name = checkpoint_options(run.path / CHECKPOINT)
        if options_by_name is None:
            return None
        return typed(TrainParams, options_by_name)

    def check_options(self, run: RunDirectory, planned_run: PlannedRun) -> None:
        """Check the options together with the model's recipe."""
        options = planned_run.options["train"]
        if "train" not in planned_run.stages or not options:
            return
        weights = self.resolve(run, options).initial_weights
        folder = (run.path / STAGE.directory).resolve()
        if weights is not None and folder in weights.resolve().parents:
            raise UsageError(
                f"--initial-weights {weights}: the training overwrites that file; "
                "give a copy of it",
            )

    def check_before(
        self, run: RunDirectory, next_stage: str, planned_run: PlannedRun
    ) -> None:
        """Refuse a data set without training images."""
        if next_stage == "train" and not is_trained_elsewhere(run):
            prepare.require_training_set(run, "training the network")

    def execute(
        self,
        run: RunDirectory,
        params: TrainParams,
        options: Mapping[str, object],
        progress: Progress = silent,
    ) -> None:
        """Train and write `train/`; of a spiking network, only its file.

        If `resume` is None, an interrupted training continues only if its checkpoint
        was made with these parameters. A checkpoint has the options.
        """
        model = model_of(run)
        if is_spiking(run):
            _copy_spiking(run, model, params, options)
            return
        from snnb.model_files.read_model import files_of
        from snnb.simulation.accuracy import chance_warning

        notes: Dict[str, None] = {}  # in order; a model may be built more than once
        preparation = recorded_details(run, prepare.STAGE)
        inputs: List[str] = []
        for part in ("train", "test"):
            if part in preparation.splits:
                inputs += [f"dataset/x_{part}.npy", f"dataset/y_{part}.npy"]
        with run.stage("train", params, options, inputs=inputs) as output:
            files: List[Path] = []
            if model.file is not None and run.manifest.run.model_source is not None:
                files += files_of(model.file)  # a file of this package is not an input
            if params.initial_weights is not None:
                files.append(params.initial_weights)
            output.external = [file_record(file) for file in files]
            if model.trained:
                result = _evaluate_pretrained(
                    run, model, params, output.directory, notes, progress
                )
            else:
                result = _train_model(
                    run, model, params, options, output.directory, progress
                )
            output.warnings += [*notes, *result.warnings]
            if result.confusion is not None:
                advice = _advice(preparation) if model.trained else None
                classes = preparation.class_names
                warning = chance_warning(result.confusion, classes, advice)
                output.warnings += [] if warning is None else [warning]
            output.details = TrainDetails(
                epochs_run=result.epochs,
                default_settings=dict(model.settings),
                **result.metrics,
            )
        shutil.rmtree(run.path / CHECKPOINT, ignore_errors=True)


STAGE = TrainStage("train", "train", TrainParams, TrainDetails, SUMMARY)
