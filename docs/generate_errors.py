"""Write docs/errors.md from the classes of mirror/errors/: `make docs`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mirror.errors import MirrorError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Errors

Every error has a code that never changes, says what happened to which thing, and what to do next.
`--json` prints the same as `{"error": {"code", "what", "remedy"}}` on standard error.

| exit status | meaning |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | wrong usage or settings |
| 3 | done in part: something was left out, the rest is published |
| 4 | integrity: a signature, digest or rollback check refused |
| 130 | interrupted |

Made from `mirror/errors/` by `make docs`.
"""


def every_class(root: type[MirrorError] = MirrorError) -> Iterator[type[MirrorError]]:
    """Yield the class and all below it that a person can meet."""
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith("mirror.errors"):
            yield from every_class(child)


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    for kind in sorted(every_class(), key=lambda each: each.code):
        meaning = " ".join((kind.__doc__ or "").split())
        parts.append(
            f"\n## {kind.code} {kind.__name__}\n\n{meaning}\n\n"
            f"- What to do: {kind.remedy}\n"
            f"- Exit status {kind.exit_status}\n"
        )
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
