"""Options of a run: those that a command is given, merged with those that earlier commands were given."""

from contextlib import contextmanager
from typing import Collection, Dict, Iterator, Mapping

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


def read_options(given: Given) -> Dict[str, Dict[str, object]]:
    """Return options by stage with the types of their fields; raise `UsageError` for a bad name or value."""
    return {stage: typed(STAGES[stage].kind.params, options) for stage, options in given.items()}


def options_with_effect(run: RunDirectory, given: Given, forget: Collection[str] = ()) -> Given:
    """Return the given options without options that only other stages use, such as the seed of a trained network.

    Raise `UsageError` for options that have no effect in any stage. The default value of an option is never refused.
    """
    options = merge_with_run(run, given, forget)
    without: Dict[str, Mapping[str, str]] = {}
    for stage, own in given.items():
        fields, idle = STAGES[stage].kind.params.model_fields, STAGES[stage].without_effect(run, options)
        changed = [name for name in own if name in idle and own[name] != fields[name].default]
        without[stage] = {name: idle[name] for name in changed}
    used = {name for stage, own in given.items() for name in own if name not in without[stage]}
    for stage, reasons in without.items():
        unused = [name for name in reasons if name not in used]
        if unused:
            reason = reasons[unused[0]]
            names = [option_name(STAGES[stage].kind.params, name) for name in unused if reasons[name] == reason]
            raise UsageError(f"{', '.join(names)}: {reason}")
    return {
        stage: {name: value for name, value in own.items() if name not in without[stage]}
        for stage, own in given.items()
    }


def merge_with_run(
    run: RunDirectory, given: Given, forget: Collection[str] = (), say: Say = say_nothing
) -> Dict[str, Dict[str, object]]:
    """Return the options of each stage: those that the run remembers, updated with the given ones.

    `forget` are stages whose remembered options are not used. Remembered options that are not valid together with the
    given ones are dropped, after a message.
    """
    merged: Dict[str, Dict[str, object]] = {}
    for name, stage in STAGES.items():
        own = given.get(name, {})
        remembered = {} if name in forget else dict(run.options.get(name, {}))
        for option, descriptions in stage.described_by.items():
            if option in own and own[option] != remembered.get(option):
                remembered = {key: value for key, value in remembered.items() if key not in descriptions}
        valid, dropped = drop_invalid(stage.kind.params, remembered, own)
        for option, value in dropped.items():
            words = options_in_words(stage.kind.params, {option: value})
            say(f"{name}: {words} was recorded but is not valid with these options; its default is used")
        merged[name] = merge_options(valid, own)
    return merged


def remembered_options(stage: AnyStage, options: Mapping[str, object]) -> Dict[str, object]:
    """Return the options of a stage that a run remembers."""
    return {name: value for name, value in options.items() if is_remembered(stage.kind.params, name)}


@contextmanager
def origin_named(options: Given, given: Given) -> Iterator[None]:
    """Say in the message of an error about an option that an earlier command gave the option."""
    try:
        yield
    except UsageError as error:
        for name, stage in STAGES.items():
            for option in options[name].keys() - given.get(name, {}).keys():
                words = option_name(stage.kind.params, option)
                if str(error).startswith((f"{words} ", f"{words}:")):
                    origin = f"{words} was given for this run before; `snnb {name} --defaults` forgets it"
                    raise UsageError(f"{error} ({origin})") from None
        raise
