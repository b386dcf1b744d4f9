"""Good bytes made bad, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from mirror.formats import FormatError

CLAUSES = ("is ", "has ", "holds ", "begins ", "expands ")


@st.composite
def damaged(draw, good: bytes) -> bytes:
    """Return `good` with up to four bytes changed, pieces put in, moved or taken out, or a cut."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.one_of(st.integers(0, 80), st.integers(0, len(good)))) % max(len(data), 1)
        kind = draw(st.sampled_from(["change", "insert", "repeat", "remove", "cut"]))
        if kind == "change":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "repeat":
            data[at:at] = data[at : at + 64]
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 64))]
        else:
            del data[at:]
    return bytes(data)


def only_refused(read, data: bytes) -> bool:
    """Read `data`: that it is taken or refused in words, and that nothing else is raised."""
    try:
        read(data)
    except FormatError as error:
        return str(error).startswith(CLAUSES)
    return True
