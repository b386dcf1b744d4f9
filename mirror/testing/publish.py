"""Publish sample products as a signed stream, for a look at a plugin at work.

    python -m mirror.testing.publish tests/sample.py:products upstream
    python -m http.server --directory upstream 8001

The function returns `SampleProduct`s. Run it again to publish another version of each.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.errors import MirrorError
from mirror.signing.key import SigningKey
from mirror.testing.sample import SAMPLE_SIZE, SampleUpstream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror.testing.sample_products import SampleProduct

_MADE = ".versions"
"""How many versions of each product are in the folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mirror.testing.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("products", help="FILE.py:FUNCTION, the sample products")
    parser.add_argument("folder", type=Path, help="where the stream goes")
    parser.add_argument("--size", type=int, default=SAMPLE_SIZE, help="bytes of an image")
    given = parser.parse_args(arguments)
    try:
        sample = publish(load(given.products), given.folder, size=given.size)
    except (MirrorError, ValueError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    names = ", ".join(sorted(sample.documents))
    sys.stdout.write(f"{given.folder}: {names}\nkeyring: {sample.keyring}\n")
    return 0


def load(where: str) -> list[SampleProduct]:
    """Return the products of `FILE.py:FUNCTION`. Raises `ValueError`."""
    file, _, function = where.rpartition(":")
    if not Path(file).is_file():
        raise ValueError(f"there is no file {file!r}; name it as FILE.py:FUNCTION")
    names = runpy.run_path(file)
    if function not in names:
        raise ValueError(f"{file} has no function {function!r}")
    return list(names[function]())


def publish(
    products: Sequence[SampleProduct], folder: Path, *, size: int = SAMPLE_SIZE
) -> SampleUpstream:
    """Write a signed stream of the products below `folder`: two versions, one more each time."""
    made = folder / _MADE
    versions = int(made.read_text()) + 1 if made.is_file() else 2
    home = folder.with_name(f"{folder.name}-key")
    if SigningKey.exists(home):
        key = SigningKey.open(home)
    else:
        key = SigningKey.create(home, "Sample upstream", algorithm="ed25519")
    try:
        shutil.rmtree(folder / "streams", ignore_errors=True)
        sample = SampleUpstream.create(
            folder, key=key, size=size, versions=versions, products=products
        )
    finally:
        key.close()
    made.write_text(f"{versions}\n")
    return sample


if __name__ == "__main__":
    sys.exit(main())
