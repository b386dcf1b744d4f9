"""The root of the tree of errors."""

from __future__ import annotations

from typing import ClassVar


class MirrorError(Exception):
    """Something went wrong that has no class of its own."""

    code: ClassVar[str] = "MIR-000"
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    remedy: str = "Run the command again with --verbose and report what it prints."

    def __init_subclass__(
        cls, *, code: str = "", exit_status: int = 0, http_status: int = 0
    ) -> None:
        super().__init_subclass__()
        cls.code = code or cls.code
        cls.exit_status = exit_status or cls.exit_status
        cls.http_status = http_status or cls.http_status

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        if remedy:
            self.remedy = remedy

    def as_dict(self) -> dict[str, str]:
        """Return the error as JSON-ready values."""
        return {"code": self.code, "what": self.what, "remedy": self.remedy}
