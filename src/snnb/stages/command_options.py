"""The options of a command on a run, by stage.

The options of a stage are those of the command. If the command has none for the stage
that counts (`Stage.counts`), they are those recorded with its result. There is no third
source, and one value is never taken from the command and another from the result. What
is not given has its default, which `Stage.resolve` adds.
"""

from dataclasses import dataclass
from typing import Collection, Dict, List, Mapping, Optional

from snnb.core.errors import UsageError
from snnb.core.options import Options, option_name, options_in_words, typed
from snnb.rundir.directory import RunDirectory
from snnb.stages.all import STAGES
from snnb.stages.missing_packages import extra_named
from snnb.stages.stage import AnyStage, Given, recorded_options, stale_reason

OptionsByStage = Dict[str, Dict[str, object]]


def read_options(options_given: Given) -> OptionsByStage:
    """Return options by stage with the types of their fields.

    Raise `UsageError` for a bad name or value.
    """
    return {
        name: typed(STAGES[name].params, options)
        for name, options in options_given.items()
    }


@dataclass(frozen=True)
class PlannedStage:
    """A stage with its options and parameters, and what has to be done.

    `reason` says why it has to run. It is None if a result is up to date; `result` is
    then the name of this result, or None for a stage with a single one.
    """

    name: str
    options: Mapping[str, object]
    params: Options
    result: Optional[str]
    reason: Optional[str]


@dataclass(frozen=True)
class CommandOptions:
    """The options of a command on a run.

    Attributes
    ----------
    run : RunDirectory
    given : mapping
        Options of the command that have an effect, by stage.
    idle : mapping
        By stage, why options have no effect.
    defaults : collection of str
        Stages that do not take the options of their results.
    """

    run: RunDirectory
    given: Given
    idle: Mapping[str, Mapping[str, str]]
    defaults: Collection[str]

    @classmethod
    def of(
        cls, run: RunDirectory, options_given: Given, defaults: Collection[str] = ()
    ) -> "CommandOptions":
        """Return the options of a command, which are typed as by `read_options`.

        An option that only another stage uses is left out, such as the seed of a
        network that is trained already. Raise `UsageError` for an option that no stage
        uses; a default value is never refused.
        """
        all_options = cls(run, options_given, {}, defaults).by_stage()
        idle = {
            name: stage.without_effect(run, all_options)
            for name, stage in STAGES.items()
            if all_options[name]
        }
        _refuse_unused(options_given, idle)
        given = {
            name: _without(options, idle.get(name, ()))
            for name, options in options_given.items()
        }
        return cls(run, given, idle, defaults)

    def by_stage(self) -> OptionsByStage:
        """Return the options of all stages, as far as the results of the run tell now."""
        options: OptionsByStage = {}
        for name, stage in STAGES.items():
            given = self.given.get(name, {})
            options[name] = dict(given)
            if self._keeps_result(stage):
                recorded = stage.unfinished_options(self.run, given)
                results = stage.results_to_keep(self.run, given)
                if recorded is None and results:
                    recorded = self._recorded(stage, results[0])
                options[name] = {**(recorded or {}), **given}
        return options

    def plan(self, name: str, source: Optional[str]) -> PlannedStage:
        """Return a stage with its parameters, and why it has to run.

        The stages before it are up to date. `source` is the name of the result of the
        stage before, which the stage reads.
        """
        stage = STAGES[name]
        given = self.given.get(name, {})
        named_source: Dict[str, object] = {}
        if stage.source is not None and source is not None:
            named_source = {stage.source: source}
        recorded: Optional[Mapping[str, object]] = None
        with extra_named(name):  # a user's model may have to be opened
            if self._keeps_result(stage):
                recorded = stage.unfinished_options(self.run, given)
                results = stage.results_to_keep(self.run, {**given, **named_source})
                if recorded is None and results:
                    return self._plan_with_own_options(stage, results, named_source)
            options = {**(recorded or {}), **given}
            params = stage.resolve(self.run, {**options, **named_source})
            result, reason = stage.select(self.run, params)
        return PlannedStage(name, options, params, result, reason)

    def describe(self, planned_stage: PlannedStage) -> str:
        """Return the options that count for a stage: `options: --samples 20`."""
        stage = STAGES[planned_stage.name]
        kind = stage.params
        given = self.given.get(planned_stage.name, {})
        counting = {name: given[name] for name in given if stage.counts(name)}
        parts = []
        if counting:
            parts.append(f"options: {options_in_words(kind, counting)}")
        recorded = _without(planned_stage.options, given)
        if recorded:
            parts.append(f"recorded options: {options_in_words(kind, recorded)}")
        return "; ".join(parts)

    def _keeps_result(self, stage: AnyStage) -> bool:
        """Whether a stage takes the options of its result."""
        given = self.given.get(stage.name, {})
        return stage.name not in self.defaults and not any(map(stage.counts, given))

    def _recorded(self, stage: AnyStage, result: Optional[str]) -> Dict[str, object]:
        record = self.run.record_of(stage.name, result)
        assert record is not None
        options = recorded_options(self.run, stage, record)
        return _without(options, self.idle.get(stage.name, ()))

    def _plan_with_own_options(
        self,
        stage: AnyStage,
        results: List[Optional[str]],
        named_source: Mapping[str, object],
    ) -> PlannedStage:
        """Return the first result that is up to date with its own options.

        If there is none, the first result is made again.
        """
        for result in results:
            record = self.run.record_of(stage.name, result)
            assert record is not None
            if stale_reason(self.run, record, {}) is None:
                planned_stage = self._plan_result(stage, result, named_source)
                if planned_stage.reason is None:
                    return planned_stage
        return self._plan_result(stage, results[0], named_source)

    def _plan_result(
        self,
        stage: AnyStage,
        result: Optional[str],
        named_source: Mapping[str, object],
    ) -> PlannedStage:
        record = self.run.record_of(stage.name, result)
        assert record is not None
        given = self.given.get(stage.name, {})
        options = {**self._recorded(stage, result), **given}
        params = stage.resolve(self.run, {**options, **named_source})
        reason = stale_reason(self.run, record, params.model_dump())
        return PlannedStage(stage.name, options, params, result, reason)


def _without(
    options: Mapping[str, object], names: Collection[str]
) -> Dict[str, object]:
    return {name: value for name, value in options.items() if name not in names}


def _refuse_unused(options_given: Given, idle: Mapping[str, Mapping[str, str]]) -> None:
    """Raise `UsageError` for options without effect in any stage.

    It names all options of a stage that have no effect for the same reason.
    """
    idle_options: Dict[str, List[str]] = {}
    used_options = set()
    for name, options in options_given.items():
        fields = STAGES[name].params.model_fields
        idle_options[name] = [
            option
            for option, value in options.items()
            if option in idle.get(name, ()) and value != fields[option].default
        ]
        used_options.update(set(options).difference(idle_options[name]))
    for name, idle_names in idle_options.items():
        unused_options = [option for option in idle_names if option not in used_options]
        if unused_options:
            reason = idle[name][unused_options[0]]
            words = [
                option_name(STAGES[name].params, option)
                for option in unused_options
                if idle[name][option] == reason
            ]
            raise UsageError(f"{', '.join(words)}: {reason}")
