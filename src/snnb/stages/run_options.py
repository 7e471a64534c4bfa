"""Options of a run: of a command, merged with those that earlier commands were given."""

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


def read_options(given: Given) -> Dict[str, Dict[str, object]]:
    """Return options by stage with the types of their fields.

    Raise `UsageError` for a bad name or value.
    """
    types = {name: stage.kind.params for name, stage in STAGES.items()}
    return {name: typed(types[name], options) for name, options in given.items()}


def options_with_effect(
    run: RunDirectory,
    given: Given,
    forget: Collection[str] = (),
) -> Given:
    """Return the given options without options that only other stages use.

    Such an option is the seed of a trained network. Raise `UsageError` for options that
    have no effect in any stage. The default value of an option is never refused.
    """
    options = merge_with_run(run, given, forget)
    used: Set[str] = set()
    reasons_by_stage: Dict[str, Dict[str, str]] = {}  # why options of a stage have no effect
    for name, own in given.items():
        stage = STAGES[name]
        reasons = stage.without_effect(run, options)
        fields = stage.kind.params.model_fields
        idle = [option for option in own if own[option] != fields[option].default]
        reasons_by_stage[name] = {option: reasons[option] for option in idle if option in reasons}
        used.update(own.keys() - reasons_by_stage[name].keys())
    for name, reasons in reasons_by_stage.items():
        unused = [option for option in reasons if option not in used]
        if unused:
            reason = reasons[unused[0]]
            kind = STAGES[name].kind.params
            words = [option_name(kind, option) for option in unused if reasons[option] == reason]
            raise UsageError(f"{', '.join(words)}: {reason}")
    effective: Dict[str, Mapping[str, object]] = {}
    for name, own in given.items():
        names = [option for option in own if option not in reasons_by_stage[name]]
        effective[name] = {option: own[option] for option in names}
    return effective


def merge_with_run(
    run: RunDirectory,
    given: Given,
    forget: Collection[str] = (),
    say: Say = say_nothing,
) -> Dict[str, Dict[str, object]]:
    """Return the options of each stage: those of the run, updated with the given ones.

    `forget` are stages whose remembered options are not used. Remembered options that are
    not valid together with the given ones are dropped, after a message.
    """
    merged: Dict[str, Dict[str, object]] = {}
    for name, stage in STAGES.items():
        kind = stage.kind.params
        own = given.get(name, {})
        remembered = {} if name in forget else dict(run.options.get(name, {}))
        for option, descriptions in stage.described_by.items():
            if option in own and own[option] != remembered.get(option):
                for description in descriptions:
                    remembered.pop(description, None)
        valid, dropped = drop_invalid(kind, remembered, own)
        for option, value in dropped.items():
            words = options_in_words(kind, {option: value})
            say(f"{name}: {words} was recorded but is not valid with these options; its default is used")
        merged[name] = merge_options(valid, own)
    return merged


def remembered_options(
    stage: AnyStage,
    options: Mapping[str, object],
) -> Dict[str, object]:
    """Return the options of a stage that a run remembers."""
    kind = stage.kind.params
    names = [name for name in options if is_remembered(kind, name)]
    return {name: options[name] for name in names}


@contextmanager
def origin_named(options: Given, given: Given) -> Iterator[None]:
    """Say in the message of an error that an earlier command gave the option."""
    try:
        yield
    except UsageError as error:
        for name, stage in STAGES.items():
            for option in options[name].keys() - given.get(name, {}).keys():
                words = option_name(stage.kind.params, option)
                if str(error).startswith((f"{words} ", f"{words}:")):
                    origin = f"{words} was given for this run before"
                    advice = f"`snnb {name} --defaults` forgets it"
                    raise UsageError(f"{error} ({origin}; {advice})") from None
        raise
