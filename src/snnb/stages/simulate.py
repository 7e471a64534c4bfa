"""Stage `simulate`: simulate the converted network on test samples and count its spikes."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Dict, Mapping, Optional, Sequence

from pydantic import AfterValidator, Field
from typing_extensions import Annotated

from snnb.conversion.toolbox_config import (
    configuration,
    copy_for_toolbox,
    toolbox_keys,
    write_all,
    write_changes,
)
from snnb.core.errors import InputError, UsageError
from snnb.core.options import Flag
from snnb.core.progress import Progress, silent
from snnb.core.quantities import view
from snnb.io.text import LONGEST_NAME, is_name
from snnb.network.fidelity import Fidelity
from snnb.plots.figure_format import (
    FIGURE_ENDINGS,
    FIGURES_DEFAULT,
    FigureFormat,
    Figures,
)
from snnb.rundir.directory import STAMP, RunDirectory
from snnb.rundir.manifest import Record, StageRecord
from snnb.simulation.settings import (
    RECORDING,
    SimulationSettings,
    defined_by_network,
    refuse_unsuitable,
)
from snnb.simulation.summary import SimulationSummary
from snnb.stages import parse, prepare, train
from snnb.stages.parse import ParseParams
from snnb.stages.stage import (
    Given,
    PlannedRun,
    Stage,
    figure_format,
    option_value,
    recorded,
    recorded_details,
    resolve_params,
    write_log,
)
from snnb.stages.train import TrainParams, shown_params

if TYPE_CHECKING:
    from snnb.network.converted import ConvertedNetwork
    from snnb.simulation.simulate import Simulation

DEFAULT_SAMPLES = 1000


def _printable(label: str) -> str:
    if not is_name(label):
        raise ValueError(
            f"must be one line of 1 to {LONGEST_NAME} printable characters",
        )
    return label


class SimulateParams(SimulationSettings):
    """Options of `snnb simulate`."""

    defaults_elsewhere: ClassVar[Mapping[str, str]] = {
        "samples": f"{DEFAULT_SAMPLES}, or the size of the test set",
        "input": "constant for images, else as the test set",
        "duration": "100, or as network or test set",
        "figures": FIGURES_DEFAULT,
    }

    label: Annotated[
        Optional[Annotated[str, AfterValidator(_printable)]],
        Flag(metavar="TEXT", panel=RECORDING),
    ] = Field(
        default=None,
        exclude=True,
        description="Name shown by `snnb status` and `snnb compare`.",
    )
    figures: Annotated[Figures, Flag(panel=RECORDING)] = None


class SimulateDetails(Record):
    """Result of a simulation, with the parameters of training and conversion, which may change in the run."""

    engine: str
    engine_reason: str  # why it was chosen
    mean_rates: Dict[str, float]  # by population, in spikes per neuron and step
    fidelity: Optional[Fidelity]  # changes of accuracy by the conversion
    output_coding: str  # spikes, random (softmax) or membrane
    label: Optional[str] = Field(max_length=LONGEST_NAME)
    training: TrainParams
    conversion: ParseParams
    summary: SimulationSummary


SUMMARY = view(
    "ann_accuracy",
    "quoted_accuracy",
    "ann_mean_squared_error",
    "snn_mean_squared_error",
    "readout_mean_squared_error",
    "latency_steps",
    "interval_steps",
    of=[SimulateDetails],
)
SimulationRecord = StageRecord[SimulateParams, SimulateDetails]


def in_force(run: RunDirectory) -> Optional[str]:
    """Return the stamp of the simulation that other commands use by default; None without simulations.

    It is the latest one of the present network and test set. If there is none, it is
    the latest simulation.
    """
    names = run.latest_first(STAGE.name)
    if not names:
        return None
    present_files = run.outputs()
    for name in names:
        inputs = run.records_of(STAGE.name)[name].inputs
        if all(present_files.get(file.path) == file for file in inputs):
            return name
    return names[0]


def parsed_file(run: RunDirectory, stamp: Optional[str] = None) -> str:
    """Return the path in the run of the converted network, or of the copy in a simulation."""
    place = (
        run.directory_of(parse.STAGE.name)
        if stamp is None
        else run.directory_of(STAGE.name, stamp)
    )
    return f"{place}/{run.parsed_name}"


def _test_samples(run: RunDirectory) -> int:
    return recorded_details(run, prepare.STAGE).splits["test"].shape[0]


def _save_plots(
    result: "Simulation",
    directory: Path,
    figures: FigureFormat,
) -> None:
    """Save the figures of a simulation into its directory."""
    from snnb.io.figures import save
    from snnb.plots.simulation import plot_quality, plot_raster, plot_rates

    statistics = result.statistics
    quality = "accuracy" if statistics.classifies else "mean_squared_error"
    course = plot_quality(*statistics.course)
    save(course, directory / f"{quality}_by_timestep.{figures}")
    save(plot_rates(result.rates), directory / f"rate_histogram.{figures}")
    if result.spike_times is not None:
        raster = plot_raster(
            result.network,
            result.spike_times.spikes,
            statistics.latency_steps,
            statistics.first_sample,
        )
        save(raster, directory / f"raster.{figures}")


def _own_settings(
    run: RunDirectory,
    params: SimulateParams,
    result: "Simulation",
) -> Dict[str, object]:
    """Return the final values of the options of conversion and simulation that the toolbox does not have."""
    conversion = recorded(run, parse.STAGE)
    assert conversion is not None
    training = recorded(run, train.STAGE)
    assert training is not None
    run_settings = {
        train.STAGE.name: training.params.model_dump(),
        parse.STAGE.name: conversion.params.model_dump(),
        STAGE.name: params.model_dump(),
    }
    values: Dict[str, object] = {}
    for kind, stage in ((ParseParams, parse.STAGE), (SimulateParams, STAGE)):
        left_out = {*toolbox_keys(kind), *stage.without_effect(run, run_settings)}
        options = run_settings[stage.name].items()
        values.update(
            {
                name: value
                for name, value in options
                if value is not None and name not in left_out
            },
        )
    statistics = result.statistics
    coding = statistics.coding[result.network.output.name]
    values.update(
        parser=conversion.details.parser,
        engine=statistics.engine,
        output="softmax" if coding == "random" else coding,
    )
    values.pop("firing" if result.network.steps is None else "initial_potential", None)
    # The parameter of the toolbox is a divisor of the number of samples
    if statistics.engine == "toolbox":
        values["batch_size"] = params.batch_size
    return values


def load_model(run: RunDirectory, parsed_path: Path) -> "ConvertedNetwork":
    """Read a converted network, and what its spikes are compared with."""
    from snnb.conversion.convert import unit_of_output
    from snnb.model_files.read_model import read_trained
    from snnb.network.converted import ConvertedNetwork
    from snnb.network.read_network import read_networks

    network, analogue = read_networks(parsed_path)
    if train.is_spiking(run):
        return ConvertedNetwork.of(network)
    details = recorded_details(run, parse.STAGE)
    trained_network = read_trained(run.path / train.trained_file(run))
    averages = details.fidelity is not None and (
        "average_pooling" in details.fidelity.after
    )
    return ConvertedNetwork(
        network,
        trained_network if averages else analogue,
        unit_of_output(details.scale_factors),
        trained_network.multiply_accumulates,
        details.fidelity,
    )


def simulate_run(
    run: RunDirectory,
    model: "ConvertedNetwork",
    settings: SimulationSettings,
    progress: Progress = silent,
) -> "Simulation":
    """Simulate a network on the test samples of a run."""
    from snnb.network.event_samples import EventSamples
    from snnb.simulation.simulate import simulate

    details = recorded_details(run, prepare.STAGE)
    samples = run.path / prepare.samples_file(run)
    return simulate(
        model,
        EventSamples(samples)
        if samples.suffix == ".h5"
        else prepare.dataset_array(run, "x_test"),
        prepare.dataset_array(run, "y_test"),
        settings=settings,
        scale=details.scale,
        class_names=details.class_names,
        reconstructs=prepare.class_count(run) is None,
        dt_ms=parse.step_ms(run),
        progress=progress,
    )


HISTORY = (
    "training_history.csv",
    "training_metrics.json",
    *(f"training_plot{ending}" for ending in FIGURE_ENDINGS),
)


def _batch_size(params: SimulateParams) -> int:
    """Return the largest batch size that divides the number of samples.

    The toolbox drops an incomplete batch.
    """
    largest = min(params.batch_size, params.samples)
    return max(n for n in range(1, largest + 1) if params.samples % n == 0)


def _copy_files(
    run: RunDirectory,
    networks: Sequence[str],
    directory: Path,
    params: SimulateParams,
) -> None:
    """Copy the networks of a run and the history of its training.

    `networks` are paths in the run; the second is the parsed network, which is copied
    so that the toolbox reads it.
    """
    parsed_path = run.path / networks[1]
    paths = [run.path / path for path in networks]
    for name in HISTORY:
        path = run.path / "train" / name
        if path.exists():
            paths.append(path)
    for path in paths:
        if path == parsed_path and not train.is_spiking(run):
            copy_for_toolbox(path, directory / path.name, _batch_size(params))
        else:
            shutil.copyfile(path, directory / path.name)


def _write_toolbox_files(
    run: RunDirectory,
    params: SimulateParams,
    result: "Simulation",
    directory: Path,
) -> None:
    """Write the configuration with which the toolbox repeats a simulation."""
    conversion = recorded(run, parse.STAGE)
    assert conversion is not None
    toolbox_params = params.changed(batch_size=_batch_size(params))
    parameters = configuration(run.model, [conversion.params, toolbox_params])
    if params.first:
        samples = f"range({params.first}, {params.first + params.samples})"
        parameters.set("simulation", "sample_idxs_to_test", samples)
    write_changes(parameters, directory / "config")
    settings = _own_settings(run, params, result)
    parameters["snnb"] = {name: str(value) for name, value in settings.items()}
    write_all(parameters, directory / ".config")


class SimulateStage(Stage[SimulateParams, SimulateDetails]):
    """Simulate the converted network on test samples and count its spikes."""

    adds_result = True
    always_new = True

    def resolve(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> SimulateParams:
        """Return the parameters."""
        details = recorded_details(run, prepare.STAGE)
        available = _test_samples(run)
        params = resolve_params(STAGE, options, self.defaults(run, options))
        samples_left = available - params.first
        if params.input not in details.codings:
            has: str = (
                details.content
                if details.unit_pixels
                else "pixels outside [0, 1], which are no probabilities"
            )
            if details.content == "steps":
                has = (
                    "numbers of spikes"
                    if details.codings == ("events",)
                    else "currents that are not numbers of spikes"
                )
            use = " or ".join(details.codings)
            raise UsageError(
                f"--input {params.input}: the test set has {has}; use --input {use}",
            )
        if samples_left < 1:
            last = available - 1
            raise UsageError(
                f"--first {params.first}: the test set has {available}, numbered from "
                f"0: give at most {last}",
            )
        if params.samples > samples_left:
            after = (
                f" and {samples_left} from --first {params.first} on"
                if params.first
                else ""
            )
            raise UsageError(
                f"--samples {params.samples}: the test set has {available}{after}; "
                "give at most that many",
            )
        return params

    def defaults(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Return the defaults for the test set, and for a calibrated or integer network."""
        from snnb.network.read_network import spiking_attributes

        details = recorded_details(run, prepare.STAGE)
        first_sample = int(str(options.get("first", 0)))
        defaults: Dict[str, object] = {
            "samples": max(1, min(DEFAULT_SAMPLES, _test_samples(run) - first_sample)),
        }
        if details.content != "pictures":
            defaults["input"] = details.codings[0]
            defaults["duration"] = details.splits["test"].shape[1]
            return defaults
        # Missing or damaged: it is made again before the simulation
        with suppress(InputError):
            attributes = spiking_attributes(run.path / parsed_file(run))
            if "steps" in attributes:
                defaults["duration"] = attributes["steps"]
        return defaults

    def without_effect(self, run: RunDirectory, options: Given) -> Mapping[str, str]:
        """Return, by name, why options have no effect with the options of all stages."""
        reasons = {}
        if option_value(STAGE, options, "input") != "poisson":
            reasons["input_rate"] = "only with --input poisson"
        if train.is_spiking(run):
            reasons["batch_size"] = (
                "only for the toolbox, which cannot simulate this network; omit it"
            )
        reasons.update(
            defined_by_network(
                is_integer=option_value(parse.STAGE, options, "weight_bits")
                is not None,
                is_calibrated=parse.is_calibrated(run, options),
                trained_spiking=train.is_spiking(run),
            )
        )
        return reasons

    def check_before(
        self, run: RunDirectory, next_stage: str, planned_run: PlannedRun
    ) -> None:
        """Check the options before a data set is prepared, or a network trained, converted or simulated."""
        earlier = [prepare.STAGE.name, train.STAGE.name, parse.STAGE.name]
        if STAGE.name not in planned_run.stages or next_stage not in (
            *earlier,
            STAGE.name,
        ):
            return
        options = planned_run.options
        names = (
            "engine",
            "warm_up",
            "reset",
            "threshold",
            "initial_potential",
            "workers",
            "scheduler",
        )
        values: Dict[str, Any] = {
            name: option_value(STAGE, options, name) for name in names
        }
        is_calibrated = parse.is_calibrated(run, options)
        refuse_unsuitable(
            SimulationSettings.model_construct(**values),
            is_integer=option_value(parse.STAGE, options, "weight_bits") is not None,
            is_calibrated=is_calibrated,
            has_windows=is_calibrated
            and option_value(parse.STAGE, options, "firing") == "separated",
            is_pruned=bool(option_value(parse.STAGE, options, "prune")),
        )
        if next_stage in earlier[1:]:
            self.resolve(run, options.get(STAGE.name, {}))

    def execute(
        self,
        run: RunDirectory,
        params: SimulateParams,
        options: Mapping[str, object],
        progress: Progress = silent,
    ) -> str:
        """Simulate and write a new directory in `simulations/`."""
        from snnb.conversion.convert import with_spiking_output
        from snnb.network.read_network import write_spiking

        progress(0, params.samples)
        training = run.record_of("train")
        conversion = recorded(run, parse.STAGE)
        assert training is not None
        assert conversion is not None
        stamp = run.new_stamp(STAGE.name)
        is_spiking = train.is_spiking(run)
        networks = [train.trained_file(run), parsed_file(run)]
        if not is_spiking:
            networks.append("parse/scale_factors.json")
        data = [prepare.samples_file(run), "dataset/y_test.npy"]
        if params.output == "spikes":
            data.append("dataset/x_norm.npz")
        inputs = [*networks, *data]
        with run.stage(
            "simulate", params, options, inputs=inputs, name=stamp
        ) as output:
            _copy_files(run, networks, output.directory, params)
            parsed_model = load_model(run, run.path / networks[1])
            model = parsed_model
            if params.output == "spikes":
                pictures = prepare.normalisation_set(run)
                model = with_spiking_output(model, pictures, params.duration)
            if model is not parsed_model:
                write_spiking(model.network, output.directory / run.parsed_name)
            figures = figure_format(
                params.figures,
                recorded(run, STAGE),
                "rate_histogram",
            )
            result = simulate_run(run, model, params, progress)
            result.write(output.directory, run.model)
            _save_plots(result, output.directory, figures)
            if not is_spiking:  # which the toolbox cannot simulate
                _write_toolbox_files(run, params, result, output.directory)
            write_log(
                output.directory / "log.txt",
                run,
                shown_params(run, params),
                result.log_lines(),
            )
            statistics = result.statistics
            output.warnings = list(result.warnings)
            output.details = SimulateDetails(
                summary=statistics.summary(),
                engine=statistics.engine,
                engine_reason=statistics.engine_reason,
                mean_rates=statistics.mean_rates,
                output_coding=statistics.coding[result.network.output.name],
                fidelity=conversion.details.fidelity,
                label=params.label,
                training=training.params,
                conversion=conversion.params,
            )
        return stamp


STAGE = SimulateStage(
    "simulate",
    "simulations",
    SimulateParams,
    SimulateDetails,
    SUMMARY,
    names=STAMP,
)
