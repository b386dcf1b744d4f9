"""Options that several commands have, declared once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def spread(command: F) -> F:
    """Give a command the options of the TypedDict that it takes as `**options: Unpack[...]`.

    Typer makes an option of each parameter that a signature names, and knows nothing of `**`. They
    come in front of the keyword-only parameters; one that is not given is None.
    """
    signature = inspect.signature(command, eval_str=True)
    *own, options = signature.parameters.values()
    [declared] = get_args(options.annotation)
    taken = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in get_type_hints(declared, include_extras=True).items()
    ]
    first = [each for each in own if each.kind is not each.KEYWORD_ONLY]
    last = own[len(first) :]
    command.__dict__["__signature__"] = signature.replace(parameters=[*first, *taken, *last])
    return command
