"""Stage `parse`: parse the trained network with the toolbox or the parser of snnb, verify and normalise it."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from pydantic import Field
from typing_extensions import Annotated

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.toolbox_config import configuration, write_changes
from snnb.core.errors import InputError
from snnb.core.options import option_name
from snnb.core.progress import Progress, say_nothing, silent
from snnb.core.quantities import Quantity, view
from snnb.io.text import write_json
from snnb.model_files.kinds import LAVA_DL, NirSettings
from snnb.network.fidelity import Fidelity
from snnb.network.quantities import (
    LATENCY,
    NEURONS,
    SAMPLE_INTERVAL,
    SYNAPSES,
    Decaying,
)
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import Record
from snnb.stages import prepare, train
from snnb.stages.model import model_file, model_of, packaged
from snnb.stages.stage import (
    Given,
    PlannedRun,
    Stage,
    option_value,
    recorded,
    recorded_details,
)

if TYPE_CHECKING:
    from snnb.conversion.convert import Conversion
    from snnb.network.network import Network

RESET = (
    "neurons are reset to v_reset, as in NIR; if the network was trained with reset "
    "by subtraction, give --nir-reset subtract, or subtract_delayed (the default of "
    "snnTorch)"
)
ONLY_NIR = "only for a network in a NIR file"
# By option: another option without which it has no effect
NEEDED = {
    "calibration_samples": "calibrate",
    "firing": "calibrate",
    "spike_weight": "calibrate",
    "threshold_bits": "weight_bits",
    "scale_per": "weight_bits",
}

# Options of the conversion of snnb
NOT_OF_TOOLBOX = ("rectify_linear", "exact_clip", "calibrate", "weight_bits", "prune")


class ParseParams(NirSettings, ConversionSettings):
    """Options of `snnb parse`: of the conversion, and for networks from NIR files."""


class ParseDetails(Record):
    """Result of the conversion: scale factors λ by layer, largest difference between parsed and trained network.

    `fidelity` has the accuracy after each change of the function of the network by the
    conversion. A spiking network is not converted. `decay_factors` has its smallest and largest
    decay factors in a time step, by population: of the membrane potential and, if there
    is one, of the synaptic current. Of fixed-point neurons, `thresholds` has the
    threshold as text, and `exponents` the exponent of the stored weights.
    """

    parser: str
    verified_samples: int = 0
    largest_difference: Annotated[
        Optional[float],
        Quantity("maximum deviation after parsing"),
    ] = None
    calibrated_steps: Annotated[
        Optional[int],
        Quantity("calibrated for", unit="time steps"),
    ] = None
    # Of a calibrated network
    latency_steps: Annotated[Optional[int], LATENCY] = None
    interval_steps: Annotated[Optional[int], SAMPLE_INTERVAL] = None
    # Of a spiking network
    neurons: Annotated[Optional[int], NEURONS] = None
    synapses: Annotated[Optional[int], SYNAPSES] = None
    scale_factors: Dict[str, float] = Field(default_factory=dict)
    negative_shares: Dict[str, float] = Field(default_factory=dict)
    fidelity: Optional[Fidelity] = None
    decay_factors: Dict[str, Dict[Decaying, Tuple[float, float]]] = Field(
        default_factory=dict
    )
    # Of fixed-point neurons
    thresholds: Optional[Dict[str, str]] = None
    exponents: Optional[Dict[str, int]] = None


SUMMARY = view(
    "largest_difference",
    "calibrated_steps",
    "latency_steps",
    "interval_steps",
    "neurons",
    "synapses",
    of=[ParseDetails],
)


def step_ms(run: RunDirectory) -> float:
    """Return the time step in ms: the bin of events, else the time step of a NIR file, otherwise 1.

    In a NIR file whose unit of time is the time step, the time step is 1, which has no
    length in seconds.
    """
    preparation, conversion_details = recorded(run, prepare.STAGE), recorded(run, STAGE)
    assert preparation is not None
    assert conversion_details is not None
    if preparation.details.content == "events":
        return preparation.params.bin_us / 1000
    length = conversion_details.params.time_step
    return 1.0 if length is None or length == 1 else length * 1000


def is_calibrated(run: RunDirectory, options: Given) -> bool:
    """Whether the network has a fixed number of time steps: calibrated, or trained with quantised activations."""
    from snnb.network.keras_file import read_levels

    if option_value(STAGE, options, "calibrate"):
        return True
    if train.is_trained_elsewhere(run):
        # Missing or damaged: it is made again before the conversion
        with suppress(InputError):
            return read_levels(run.path / train.trained_file(run)) is not None
        return False
    return option_value(train.STAGE, options, "activation") == "qcfs"


def _convert(
    run: RunDirectory,
    params: ParseParams,
    options: Mapping[str, object],
    progress: Progress,
) -> None:
    from snnb.conversion.convert import measure_fidelity
    from snnb.conversion.convert_network import convert_network
    from snnb.model_files.read_model import read_trained

    file, preparation = (
        run.path / train.trained_file(run),
        recorded_details(run, prepare.STAGE),
    )
    inputs = [train.trained_file(run), "dataset/x_norm.npz"]
    changing = (
        params.max_pool == "average"
        or params.rectify_linear
        or params.prune
        or params.weight_bits
    )
    measures_loss = bool(changing) and preparation.content == "pictures"
    inputs += ["dataset/x_test.npy", "dataset/y_test.npy"] if measures_loss else []
    with run.stage("parse", params, options, inputs=inputs) as output:
        trained_network, x_norm = read_trained(file), prepare.normalisation_set(run)
        result = convert_network(
            trained_network,
            x_norm,
            params,
            pixel_scale=preparation.pixel_scale,
            unit_pixels=preparation.unit_pixels,
            progress=progress,
        )
        write_conversion(result, output.directory, run.model, params)
        fidelity = None
        if measures_loss and result.changes:
            x, y = prepare.fidelity_samples(run)
            classes = None if prepare.class_count(run) is None else y
            fidelity = measure_fidelity(
                trained_network, result.changes, x, classes, result.output_scale
            )
        output.warnings = list(result.warnings)
        output.details = ParseDetails(
            verified_samples=result.samples_verified,
            largest_difference=result.largest_difference,
            **_calibrated_times(result.spiking),
            scale_factors=dict(result.scale_factors),
            negative_shares=dict(result.negative_shares),
            parser=params.parser,
            fidelity=fidelity,
        )


def _calibrated_times(spiking: "Optional[Network]") -> Dict[str, Any]:
    """Return the fields of `ParseDetails` that only a calibrated network has."""
    if spiking is None or spiking.steps is None:
        return {}
    return {
        "calibrated_steps": spiking.steps,
        "latency_steps": spiking.latency(spiking.steps),
        "interval_steps": spiking.interval(spiking.steps),
    }


def write_conversion(
    result: "Conversion",
    directory: Path,
    name: str,
    settings: ConversionSettings,
) -> None:
    """Write `NAME_parsed.h5`, `config`, `scale_factors.json` and, of a calibration, `calibration.json`."""
    result.write(directory / f"{name}_parsed.h5")
    write_changes(
        configuration(name, [settings], dataset_path="../dataset"),
        directory / "config",
    )
    documents: Dict[str, object] = {"scale_factors": result.scale_factors}
    if result.calibration:
        documents["calibration"] = {
            name: layer.model_dump() for name, layer in result.calibration.items()
        }
    for file, document in documents.items():
        write_json(directory / f"{file}.json", document)


def _read_spiking(
    run: RunDirectory, params: ParseParams, options: Mapping[str, object]
) -> None:
    from snnb.graph.build import build_graph
    from snnb.model_files.spiking_files import read_spiking
    from snnb.network.read_network import write_spiking

    samples = tuple(recorded_details(run, prepare.STAGE).splits["test"].shape[-3:])
    with run.stage(
        "parse", params, options, inputs=[train.trained_file(run)]
    ) as output:
        model = read_spiking(run.path / train.trained_file(run), params, samples)
        network = model.network
        output.warnings += model.warnings
        write_spiking(network, output.directory / run.parsed_name)
        # In a network with weights of 0, `fan_out` counts each weight of two neurons
        # that several paths connect.
        with build_graph(network) as graph:
            synapses = graph.number_of_edges()
        is_nir = not network.fixed_point
        if (
            is_nir
            and params.nir_reset == "value"
            and run.manifest.run.model_source is not None
        ):
            output.warnings.append(RESET)
        output.details = ParseDetails(
            parser="nir" if is_nir else "lava-dl",
            neurons=network.neurons,
            synapses=synapses,
            decay_factors=model.decay_factors,
            thresholds=model.thresholds or None,
            exponents=model.exponents or None,
        )


class ParseStage(Stage[ParseParams, ParseDetails]):
    """Parse the trained network with the toolbox or the parser of snnb, verify and normalise it."""

    def defaults(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Return the time step of a spiking network of this package."""
        spec = packaged(run.manifest.run)
        return (
            {}
            if spec is None or spec.time_step is None
            else {"time_step": spec.time_step}
        )

    def without_effect(self, run: RunDirectory, options: Given) -> Mapping[str, str]:
        """Return, by name, why options have no effect with the options of all stages."""
        if train.is_spiking(run):
            name = run.manifest.run.model_source or run.model
            reason = f"{name} is a spiking network, which is not converted; omit it"
            reasons = dict.fromkeys(ConversionSettings.model_fields, reason)
            if train.trained_file(run).endswith(LAVA_DL):
                reasons.update(dict.fromkeys(NirSettings.model_fields, ONLY_NIR))
            return reasons
        reasons = {
            name: f"only with {option_name(ParseParams, needed_option)}"
            for name, needed_option in NEEDED.items()
            if not option_value(STAGE, options, needed_option)
        }
        if option_value(STAGE, options, "firing") == "free":
            reasons.setdefault("spike_weight", "only with --firing separated")
        reasons.update(
            dict.fromkeys(NirSettings.model_fields, ONLY_NIR),
        )
        if option_value(STAGE, options, "parser") == "toolbox":
            reasons.update(
                dict.fromkeys(
                    NOT_OF_TOOLBOX,
                    "not with --parser toolbox, which is snntoolbox's conversion alone",
                ),
            )
        if train.is_quantised(run, options):
            reasons.pop("firing", None)
            if not train.is_trained_elsewhere(run):
                reasons["exact_clip"] = (
                    "a network trained with --activation qcfs always fires at every "
                    "step where it clips"
                )
        return reasons

    def check_before(
        self, run: RunDirectory, next_stage: str, planned_run: PlannedRun
    ) -> None:
        """Refuse a network that cannot be converted before it is trained.

        If this stage is not part of the planned run, only a message says that it will
        need other options.
        """
        params = self.resolve(run, planned_run.options.get("parse", {}))
        if (
            train.is_spiking(run)
            and "parse" in planned_run.stages
            and next_stage in ("prepare", "train")
        ):
            from snnb.model_files.spiking_files import read_spiking

            file = model_file(run.manifest.run)
            assert file is not None
            read_spiking(file, params)
        if train.is_spiking(run):
            return
        if "parse" in planned_run.stages and next_stage in ("train", "parse"):
            prepare.require_training_set(
                run,
                "the conversion (normalisation, calibration)",
            )
            if (
                params.weight_bits is not None
                and not recorded_details(run, prepare.STAGE).unit_pixels
            ):
                raise InputError(
                    "--weight-bits: an integer network reads pixels from 0 to 1 as "
                    "integers, and some are outside: write the arrays with pixels in "
                    "[0, 1], or omit --weight-bits",
                )
        if next_stage != "train":
            return
        from snnb.conversion.own_parser import parse_own
        from snnb.model_files.read_model import read_model

        training, model = (
            train.STAGE.resolve(run, planned_run.options.get("train", {})),
            model_of(run),
        )
        if model.trained:
            assert model.file is not None
            network = read_model(
                model.file,
                say_nothing,
                train.pixels_of(run, training),
            )
        else:
            from snnb.training.keras_model import trained_network

            network = trained_network(train.builder(run, model, training)())
        if params.parser == "toolbox":
            return
        try:
            parse_own(
                network,
                max_pool=params.max_pool,
                rectify_linear=params.rectify_linear,
            )
        except InputError as error:
            if "parse" in planned_run.stages:
                raise
            parse_own(network, max_pool=params.max_pool, rectify_linear=True)
            planned_run.say(f"parse will need an option: {error}")

    def execute(
        self,
        run: RunDirectory,
        params: ParseParams,
        options: Mapping[str, object],
        progress: Progress = silent,
    ) -> None:
        """Convert the trained network, or read a spiking one, and write `parse/`."""
        progress(0, 1)
        if train.is_spiking(run):
            _read_spiking(run, params, options)
        else:
            _convert(run, params, options, progress)


STAGE = ParseStage("parse", "parse", ParseParams, ParseDetails, SUMMARY)
