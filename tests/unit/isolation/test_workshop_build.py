"""What a plugin builds in its process: an image, a refusal, or too much."""

from __future__ import annotations

import pytest

from mirror.api import BuildOrder
from mirror.errors import (
    DerivedRefused,
    ImageNotBuildable,
    PluginError,
    PluginLimitExceeded,
    PluginTrespassed,
)
from mirror.isolation.workshop import Workshop
from mirror.model import Product, Severity
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings

SOURCE = """
import time
from pathlib import Path
from mirror.api import *
from mirror.formats import FormatError

class Builder(Distribution):
    id = "builder"

    def claims(self, product): return product.os == "builder"
    def describe(self, product): return "Builder"

    def build(self, product, file, order, scratch, report):
        made = scratch / "made"
        finding = Finding(Severity.NOTE, "builder-how", "root-tgz", "made\\x1b[2J of it")
        built = Built(
            ftype=order.ftype, file=made, findings=(finding,), attributes={"kind": order.options}
        )
        if order.options.get("do"):
            exec(order.options["do"])
        made.write_bytes(file.read_bytes()[::-1])
        return order.options.get("instead") or built

@hookimpl
def mirror_distributions():
    return [Builder()]
"""

PRODUCT = Product("p", "c", {"os": "builder", "release": "1"}, ())


@pytest.fixture
async def build(tmp_path, install_plugin):
    """Return a function that lets the plugin build of a file that holds `abc`."""
    install_plugin("builder", SOURCE)
    given, scratch = tmp_path / "given", tmp_path / "scratch"
    given.mkdir()
    scratch.mkdir()
    (given / "image.img").write_bytes(b"abc")
    settings = PluginSettings(time_limit=20, processes=1, disk_limit="10 MiB")
    plugins = load_plugins(allow=["builder"], strict=True)
    async with Workshop(settings, plugins, scratch=scratch, readable=(given,)) as workshop:

        async def _build(do="", *, report=None, **options):
            order = BuildOrder(ftype="root-tgz", hooks=given, options={"do": do, **options})
            return await workshop.build("builder", PRODUCT, given / "image.img", order, report)

        yield _build


async def test_an_image_is_taken_from_the_plugin(build, tmp_path):
    built, folder = await build()
    assert built.file.read_bytes() == b"cba"
    assert built.file.parent == folder
    assert folder.parent == tmp_path / "scratch"
    assert (built.ftype, built.attributes) == ("root-tgz", {"kind": {"do": ""}})
    [finding] = built.findings
    assert finding.severity is Severity.NOTE
    assert finding.message.isprintable()


async def test_the_hooks_are_a_path(build):
    await build("assert [each.name for each in order.hooks.iterdir()] == [file.name]")


async def test_how_far_it_is_is_said_on_the_way(build):
    said = []
    await build("report(1, 3); time.sleep(0.3); report(2, 3)", report=lambda *at: said.append(at))
    assert said == [(1, 3), (2, 3)]
    await build("report(1, 3)")  # to nobody


async def test_a_report_does_not_flood_the_mirror(build):
    said = []
    do = "for done in range(100_000): report(done, 100_000)"
    await build(do, report=lambda *at: said.append(at))
    assert 1 <= len(said) < 20


async def test_what_it_refuses(build):
    with pytest.raises(ImageNotBuildable) as refused:
        await build("raise BuildRefused('it is an ISO', 'Install it, and take the disk.')")
    assert refused.value.what == "builder/1: it is an ISO"
    assert refused.value.remedy == "Install it, and take the disk."


async def test_a_file_that_is_damaged(build):
    with pytest.raises(ImageNotBuildable, match=r"builder/1: image\.img is cut"):
        await build("raise FormatError('is cut')")


@pytest.mark.parametrize(
    ("do", "error", "said"),
    [
        ("1 / 0", PluginError, "failed to build builder/1: ZeroDivisionError"),
        ("built = Built(ftype='x', file=file)\norder.options['instead'] = built", DerivedRefused,
         "the image is not a file in its scratch directory"),
        ("order.options['instead'] = 42", PluginError, "it gave 42 for an image, not a Built"),
        ("order.options['instead'] = Built(ftype='x', file=made, findings=[finding] * 1001)",
         PluginLimitExceeded, "more than 1,000 findings"),
        ("made.write_bytes(bytes(11 << 20))", PluginLimitExceeded, "it wrote more than 10 MiB"),
        ("file.write_bytes(b'')", PluginTrespassed, "it tried to write"),
        ("file.with_name('more').write_bytes(b'')", PluginTrespassed, "it tried to write"),
    ],
)  # fmt: skip
async def test_what_it_may_not(build, do, error, said):
    with pytest.raises(error, match=said):
        await build(do)
    built, _ = await build()  # and the next one is built
    assert built.file.read_bytes() == b"cba"


@pytest.mark.parametrize(
    "do",
    [
        "made = scratch / 'link'; made.symlink_to(file)",
        "(scratch / 'link').symlink_to(file.parent); made = scratch / 'link' / file.name",
        "made = scratch / 'folder'; made.mkdir()",
        "made = scratch / 'nothing'",
        "made = scratch / 'two'; made.write_bytes(b'x'); (scratch / 'other').hardlink_to(made)",
    ],
)
async def test_an_image_that_is_no_file_of_its_own(build, tmp_path, do):
    """It would be given another mode, and handed out: what hostile bytes made of a plugin says."""
    given = tmp_path / "given" / "image.img"
    given.chmod(0o600)
    with pytest.raises(DerivedRefused, match="is not a file in its scratch directory"):
        await build(f"{do}\norder.options['instead'] = Built(ftype='x', file=made)")
    assert given.stat().st_mode & 0o777 == 0o600
