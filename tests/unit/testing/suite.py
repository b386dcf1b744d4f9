"""The checks of the suite, called one by one."""

from __future__ import annotations

import inspect
from contextlib import ExitStack

from mirror.testing import DistributionConformance
from mirror.testing.conformance.specimen import prepared
from mirror.testing.conformance.syncing import mirrored

CHECKS = {
    name: inspect.getdoc(value) or ""
    for name, value in inspect.getmembers(DistributionConformance)
    if name.startswith("test_")
}
"""What each says of itself."""


class Checks:
    """The checks of the suite on one sample. What they need is made when the first one asks."""

    def __init__(self, sample, folder, key, upstream=None):
        self._sample, self._folder, self._key, self._upstream = sample, folder, key, upstream
        self._made = {}
        self._stack = ExitStack()
        self._passed = {}

    def close(self):
        self._stack.close()

    def need(self, name):
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name):
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        if name == "specimen":
            upstream = self._upstream
            made = prepared(self._sample, folder, self._key, upstream=upstream)
            return self._stack.enter_context(made)
        if name == "specimen_mirror":
            return self._stack.enter_context(mirrored(self.need("specimen"), folder))
        assert name == "tmp_path", f"a check needs {name!r}, which this test can't give it"
        return folder

    def run(self, check):
        suite = DistributionConformance()
        method = getattr(suite, check)
        method(**{name: self.need(name) for name in inspect.signature(method).parameters})

    def passes(self, check):
        if check not in self._passed:
            self._passed[check] = self._tried(check)
        return self._passed[check]

    def _tried(self, check):
        try:
            self.run(check)
        except Exception:  # noqa: BLE001  (whatever a broken plugin raises)
            return False
        return True
