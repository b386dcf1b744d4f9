"""What validation found, by the content of the version that was looked at.

A finding is about files: it holds for a version wherever it is published, and is looked up when the
version is shown.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.database import text
from mirror.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mirror.catalog.database import Database
    from mirror.model import Version

Key = tuple[str, str, str]
"""(product, version, digest of its content)."""

_AT_ONCE = 500
"""Products that one query asks for."""
_COLUMNS = "product, version, digest, judge, findings"
_KEY = "product = ? AND version = ? AND digest = ?"


class Validation(msgspec.Struct, frozen=True):
    """What a plugin found in a version; `judge` is the plugin and its version: `ubuntu=0.1.0`."""

    product: str
    version: str
    digest: str
    judge: str
    findings: tuple[Finding, ...] = ()

    @property
    def key(self) -> Key:
        """Return what it is kept under."""
        return self.product, self.version, self.digest


def content_digest(version: Version) -> str:
    """Return a digest of what a version's items are, those apart that a plugin derived."""
    own = sorted((i.name, i.ftype, i.sha256) for i in version.items if not i.derived)
    return hashlib.sha256(msgspec.json.encode(own)).hexdigest()


class Validations:
    """The table of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, products: Collection[str]) -> dict[Key, Validation]:
        """Return what was found in these products, in whichever of their versions."""
        found: dict[Key, Validation] = {}
        names = sorted(set(products))
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            where = f"product IN ({marks})"
            found.update((each.key, each) for each in self._select(where, *some))
        return found

    def condemned(self, judges: Collection[str]) -> list[Validation]:
        """Return what these judges found errors in."""
        marks = ",".join("?" * len(judges))
        return self._select(f"errors > 0 AND judge IN ({marks})", *judges)

    def judged(self, judges: Collection[str]) -> frozenset[bytes]:
        """Return the `short` form of each version that one of these judges has looked at."""
        marks = ",".join("?" * len(judges))
        rows = self._database.rows(
            f"SELECT product, version, digest FROM validations WHERE judge IN ({marks})",  # noqa: S608
            *judges,
        )
        return frozenset(short(*row) for row in rows)

    def record(self, validations: Iterable[Validation]) -> None:
        """Store what was found, in place of what was found before, all in one transaction."""
        rows = [(*each.key, each.judge, _errors(each), text(each.findings)) for each in validations]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO validations "
                "(product, version, digest, judge, errors, findings) VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def note_gone(self, there: Collection[tuple[str, str]], snapshot: str) -> None:
        """Note of each version, named (product, version), whether it is still `there`.

        Of one that is not, it is kept after which snapshot that was: none that is newer has it.
        """
        rows = self._database.rows("SELECT product, version, digest, gone FROM validations")
        changed = [
            (None if gone else snapshot, *key)
            for *key, gone in rows
            if (tuple(key[:2]) in there) == (gone is not None)
        ]
        with self._database.transaction() as connection:
            connection.executemany(f"UPDATE validations SET gone = ? WHERE {_KEY}", changed)  # noqa: S608

    def prune(self, oldest: str) -> None:
        """Drop what was found in versions that were gone before the oldest snapshot there is."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM validations WHERE gone < ?", (oldest,))

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget what was found in these versions: the next sync looks at them again."""
        with self._database.transaction() as connection:
            connection.executemany(f"DELETE FROM validations WHERE {_KEY}", keys)  # noqa: S608

    def _select(self, where: str, *values: str) -> list[Validation]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM validations WHERE {where}",  # noqa: S608  (our own words)
            *values,
        )
        return [self._validation(*row) for row in rows]

    def _validation(
        self, product: str, version: str, digest: str, judge: str, findings: str
    ) -> Validation:
        found = self._database.decode(findings, tuple[Finding, ...])
        return Validation(product, version, digest, judge, found)


def short(product: str, version: str, digest: str) -> bytes:
    """Return a key in few bytes: of these a sync has all in memory."""
    text = f"{product}\n{version}\n{digest}".encode()
    return hashlib.blake2b(text, digest_size=16).digest()


def _errors(validation: Validation) -> int:
    return sum(each.severity is Severity.ERROR for each in validation.findings)
