"""Options of a run: of a command, merged with the options of earlier commands."""

from contextlib import contextmanager
from typing import Collection, Dict, Iterator, Mapping, Set

from snnb.core.errors import UsageError
from snnb.core.options import (
    drop_invalid,
    is_remembered,
    merge_options,
    option_name,
    options_in_words,
    typed,
)
from snnb.core.progress import Say, say_nothing
from snnb.rundir.directory import RunDirectory
from snnb.stages.all import STAGES
from snnb.stages.stage import AnyStage, Given


def read_options(options_given: Given) -> Dict[str, Dict[str, object]]:
    """Return options by stage with the types of their fields.

    Raise `UsageError` for a bad name or value.
    """
    types = {name: stage.kind.params for name, stage in STAGES.items()}
    return {
        name: typed(types[name], options) for name, options in options_given.items()
    }


def options_with_effect(
    run: RunDirectory,
    options_given: Given,
    forget: Collection[str] = (),
) -> Given:
    """Return the given options without options that only other stages use.

    Such an option is the seed of a trained network. Raise `UsageError` for options that
    have no effect in any stage. The default value of an option is never refused.
    """
    options = merge_with_run(run, options_given, forget)
    used_options: Set[str] = set()
    # By stage and option: why the option has no effect in the stage
    idle_options: Dict[str, Dict[str, str]] = {}
    for name, stage_options in options_given.items():
        stage = STAGES[name]
        reasons = stage.without_effect(run, options)
        fields = stage.kind.params.model_fields
        idle_options[name] = {}
        for option, value in stage_options.items():
            if option in reasons and value != fields[option].default:
                idle_options[name][option] = reasons[option]
            else:
                used_options.add(option)
    for name, reasons in idle_options.items():
        _refuse_unused(STAGES[name], reasons, used_options)
    effective: Dict[str, Mapping[str, object]] = {}
    for name, stage_options in options_given.items():
        names = [option for option in stage_options if option not in idle_options[name]]
        effective[name] = {option: stage_options[option] for option in names}
    return effective


def _refuse_unused(
    stage: AnyStage,
    reasons: Mapping[str, str],
    used_options: Collection[str],
) -> None:
    """Raise `UsageError` for options without effect in a stage, unless others use them.

    It names the options that have no effect for the same reason. `reasons` are by
    option.
    """
    unused_options = [option for option in reasons if option not in used_options]
    if not unused_options:
        return
    reason = reasons[unused_options[0]]
    words = []
    for option in unused_options:
        if reasons[option] == reason:
            words.append(option_name(stage.kind.params, option))
    raise UsageError(f"{', '.join(words)}: {reason}")


def merge_with_run(
    run: RunDirectory,
    options_given: Given,
    forget: Collection[str] = (),
    say: Say = say_nothing,
) -> Dict[str, Dict[str, object]]:
    """Return the options of the run, updated with the given options, by stage.

    `forget` are stages whose remembered options are not used. Remembered options that
    are not valid together with the given ones are dropped, after a message.
    """
    options: Dict[str, Dict[str, object]] = {}
    for name, stage in STAGES.items():
        kind = stage.kind.params
        command_options = options_given.get(name, {})
        remembered_values = {} if name in forget else dict(run.options.get(name, {}))
        for option, descriptions in stage.described_by.items():
            if option not in command_options:
                continue
            if command_options[option] != remembered_values.get(option):
                for description in descriptions:
                    remembered_values.pop(description, None)
        valid_options, invalid_options = drop_invalid(
            kind, remembered_values, command_options
        )
        for option, value in invalid_options.items():
            words = options_in_words(kind, {option: value})
            fault = f"{words} was recorded but is not valid with these options"
            say(f"{name}: {fault}; its default is used")
        options[name] = merge_options(valid_options, command_options)
    return options


def remembered_options(
    stage: AnyStage,
    options: Mapping[str, object],
) -> Dict[str, object]:
    """Return the options of a stage that a run remembers."""
    kind = stage.kind.params
    names = [name for name in options if is_remembered(kind, name)]
    return {name: options[name] for name in names}


@contextmanager
def origin_named(options: Given, options_given: Given) -> Iterator[None]:
    """Say in the message of an error that an earlier command gave the option."""
    try:
        yield
    except UsageError as error:
        for name, stage in STAGES.items():
            for option in options[name].keys() - options_given.get(name, {}).keys():
                words = option_name(stage.kind.params, option)
                if str(error).startswith((f"{words} ", f"{words}:")):
                    raise UsageError(
                        f"{error} ({words} was given for this run before; `snnb {name} "
                        "--defaults` forgets it)"
                    ) from None
        raise
