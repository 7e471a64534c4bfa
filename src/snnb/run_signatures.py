"""What `help()` shows of the methods of `snnb.Run`: every option of the stage, with type, default and meaning."""

import inspect
from typing import Callable, Type, TypeVar

from snnb.core.options import Options, default_in_words

F = TypeVar("F", bound=Callable[..., object])


class _Recorded:
    """Stands for the default of an option: what the run has recorded, or else the words."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __repr__(self) -> str:
        return f"<as recorded, or {self._words}>"


def with_options_of(kind: Type[Options], keywords: type) -> Callable[[F], F]:
    """Give a method with `**options` the signature and the docstring of the options that it takes.

    Parameters
    ----------
    kind : type of Options
        Its fields are the options.
    keywords : type
        Says their types: a class of keywords.py.
    """

    def described(method: F) -> F:
        signature = inspect.signature(method)
        named = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        lines = [inspect.cleandoc(method.__doc__ or ""), "", "Parameters", "----------"]
        for name, field in kind.model_fields.items():
            default = _Recorded(default_in_words(kind, name) or str(field.get_default(call_default_factory=True)))
            said = keywords.__annotations__[name]
            named.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=said))
            lines += [f"{name} : {inspect.formatannotation(said)}, default {default!r}", f"    {field.description}"]
        method.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        method.__doc__ = "\n".join(lines)
        return method

    return described
