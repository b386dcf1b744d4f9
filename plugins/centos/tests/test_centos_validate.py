"""Each check has a sample that must fail it; good ones of every release pass without a word."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import time
import tracemalloc

import pytest
from centos_samples import (
    INITRAMFS,
    KERNEL,
    MODULES,
    RELEASES,
    VMLINUZ,
    bad_cases,
    changed,
    doubtful_cases,
    good,
    members,
    os_release,
    plus,
    twice,
    without,
)
from mirror_centos.images import CentosImages
from mirror_centos.settings import CentosSettings

from mirror.api import Finding, Product, Severity, Version
from mirror.testing import artefacts, spoil
from mirror.testing.root_tarballs import (
    device,
    file,
    folder,
    hard_link,
    kernel_version,
    link,
    root_tarball,
    rpms,
)

# Product of each release: name in MAAS, version, title.
NAMES = {
    "6": ("centos66", "6.6", "CentOS 6.6"),
    "7": ("centos70", "7.0", "CentOS 7"),
    "8": ("8", "8", "CentOS 8"),
    "8-stream": ("centos8-stream", "8-stream", "CentOS 8 Stream"),
    "9-stream": ("centos9-stream", "9-stream", "CentOS 9 Stream"),
    "10-stream": ("centos10-stream", "10-stream", "CentOS 10 Stream"),
}


def product(release: str = "8", arch: str = "amd64") -> Product:
    name, version, title = NAMES[release]
    about = {
        "os": "centos",
        "arch": arch,
        "release": name,
        "version": version,
        "release_title": title,
    }
    return Product(f"centos-bases:{version}:{arch}", "c", about, ())


@pytest.fixture
def found(tmp_path):
    """Return what is found in files, given by item name, of a product (CentOS 8, amd64)."""

    def find(files: dict[str, bytes], of: Product | None = None) -> list[Finding]:
        paths = {name: tmp_path / name for name in files}
        for name, data in files.items():
            paths[name].write_bytes(data)
        images = CentosImages(CentosSettings())
        return list(images.validate(of or product(), Version("1", ()), paths))

    return find


def codes(findings: list[Finding]) -> set[str]:
    return {each.code for each in findings}


@pytest.mark.parametrize("arch", ["amd64", "arm64", "ppc64el"])
@pytest.mark.parametrize("release", RELEASES)
def test_a_good_one_passes_without_a_word(found, release, arch):
    assert found(good(release, arch), product(release, arch)) == []


@pytest.mark.parametrize("case", bad_cases(), ids=lambda case: case.name.replace(" ", "-"))
def test_what_is_certainly_wrong_is_an_error(found, case):
    errors = [each for each in found({**good(), **case.files}) if each.severity is Severity.ERROR]
    assert case.code in codes(errors)
    (item,) = case.files
    assert {each.where.partition(":")[0] for each in errors} == {item}


@pytest.mark.parametrize("case", doubtful_cases(), ids=lambda case: case.name.replace(" ", "-"))
def test_what_is_doubtful_is_no_error(found, case):
    findings = found({**good(), **case.files})
    assert case.code in codes(findings)
    assert Severity.ERROR not in {each.severity for each in findings}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (plus("etc/sda", device()), "'etc/sda' is a device outside of dev/"),
        (os_release('ID="rocky"\nVERSION_ID="8.5"\n'), "it is rocky, not CentOS"),
        (os_release('ID="centos"\nVERSION_ID="9"\n'), "it is version 9, not CentOS 8"),
        (without("initramfs"), f"kernel {KERNEL} has no initramfs of its version"),
        (without("initramfs", "modules"), f"{KERNEL} has no modules and no initramfs of its"),
        (plus(VMLINUZ, file(spoil.web_page())), "the kernel is a web page"),
        (without("efibootmgr", "shim"), "no efibootmgr, no shimx64.efi: curtin gets it over"),
    ],
)
def test_what_is_said(found, change, said):
    assert any(said in each.message for each in found({"root-tgz": changed(change)}))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (spoil.web_page(), "the root-tgz is a web page"),
        (spoil.gzip_bomb(1 << 30), "the root-tgz expands to more than"),
        (root_tarball(members(), prefix="rootfs/"), "in a directory 'rootfs', not at its top"),
        (root_tarball({"image.raw": file(bytes(510) + b"\x55\xaa")}), "a disk image, 'image.raw'"),
        (twice("usr/lib", link("x")), "'usr/lib' is there twice, as a directory that"),
    ],
)
def test_what_is_said_of_the_whole(found, data, said):
    (finding,) = found({"root-tgz": data})
    assert said in finding.message


def test_where_it_is(found):
    (finding,) = found({"root-tgz": changed(os_release('ID=centos\nVERSION_ID="9"\n'))})
    assert finding.where == "root-tgz: etc/os-release"


def test_many_members_that_climb_are_one_finding(found):
    climbers = {f"../{number}": file(b"") for number in range(50)}
    (finding,) = found({"root-tgz": changed(lambda those: those.update(climbers))})
    assert "'../0' leads out" in finding.message
    assert "and 49 more like it" in finding.message


def test_a_name_of_no_text_is_shown_in_ascii(found):
    name = "etc/\udcff\n\x1b[31m" + "x" * 90 + "/x" * 60
    findings = found({"root-tgz": changed(plus(name, device()))})
    assert all(each.message.isprintable() and each.where.isascii() for each in findings)
    assert codes(findings) == {"centos-device"}
    odd = f"boot/vmlinuz-\udcff\n{KERNEL}"
    findings = found({"root-tgz": changed(plus(odd, file(b"x")))})
    assert all(each.message.isprintable() and each.where.isascii() for each in findings)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda those: those.pop("usr/lib/os-release"), id="centos-release-alone"),
        pytest.param(without("centos-release", "redhat-release"), id="os-release-alone"),
        pytest.param(
            lambda those: those.update(
                {
                    "usr/share/x": those.pop("usr/lib/os-release"),
                    "usr/lib/os-release": link("../share/x"),
                }
            ),
            id="link-to-elsewhere",
        ),
        pytest.param(
            lambda those: those.update({"etc/os-release": hard_link("usr/lib/os-release")}),
            id="hard-link",
        ),
        pytest.param(
            lambda those: those.update({"etc/os-release": link("/usr/lib/os-release")}),
            id="absolute-link",
        ),
        pytest.param(
            lambda those: those.update({"etc/os-release": link("../lib/os-release")}),
            id="through-a-linked-directory",
        ),
        pytest.param(
            lambda those: those.update({"etc/os-release": link("os-release")}), id="link-to-itself"
        ),
        pytest.param(plus("boot/vmlinuz-0-rescue-1f", file(b"x")), id="rescue-kernel"),
        pytest.param(plus(f"boot/initramfs-{KERNEL}kdump.img", file(b"x")), id="kdump"),
        pytest.param(plus("lib/udev/devices/null", device()), id="devices-of-udev"),
        pytest.param(plus("var/named/chroot/dev/null", device()), id="devices-of-a-chroot"),
        pytest.param(plus("etc/localtime", link("/usr/share/zoneinfo/UTC")), id="absolute"),
        pytest.param(plus(f"{MODULES}/build", link("/usr/src/kernels/x")), id="build-link"),
        pytest.param(plus("usr/bin/script", file(b"#!/bin/sh\n", 0o755)), id="script"),
        pytest.param(plus("curtin/curtin-hooks", file(b"#!/bin/sh\n", 0o755)), id="hooks"),
    ],
)
def test_what_is_usual_is_not_remarked_on(found, change):
    assert found({"root-tgz": changed(change)}) == []


def test_a_directory_that_comes_twice_is_nothing(found):
    assert found({"root-tgz": twice("usr/lib", folder())}) == []


def test_a_file_in_place_of_a_file_is_nothing(found):
    assert found({"root-tgz": twice("usr/lib/os-release", link("/etc/nowhere"))}) == []


@pytest.mark.parametrize("first", [folder(), link("x"), file(b"")])
@pytest.mark.parametrize("then", [folder(), link("x"), file(b"")])
def test_what_gnu_tar_unpacks_is_no_harm(found, tmp_path, first, then):
    data = gzip.decompress(root_tarball({"usr/other": first})).rstrip(b"\0")
    data += bytes(-len(data) % 512) + gzip.decompress(
        root_tarball({**members(), "usr/other": then})
    )
    (tmp_path / "two.tar").write_bytes(data)
    (tmp_path / "root").mkdir()
    subprocess.run(
        ["tar", "-xf", tmp_path / "two.tar", "-C", tmp_path / "root", "--exclude=dev/*"], check=True
    )
    assert found({"root-tgz": gzip.compress(data, 1)}) == []


def test_a_release_file_that_is_empty_does_not_hide_the_other(found):
    change = changed(
        lambda those: (
            without("os-release")(those),
            those.update({"etc/centos-release": file(b"")}),
            those.update({"etc/redhat-release": file(b"CentOS Linux release 8.5.2111")}),
        )
    )
    assert found({"root-tgz": change}) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            plus(INITRAMFS, file(b"\x89LZO\0\r\n\x1a\n" + bytes(100))), id="packed-with-lzo"
        ),
        pytest.param(
            lambda those: those.update(
                {
                    "boot/vmlinuz-custom": those.pop(VMLINUZ),
                    "boot/initramfs-custom.img": those.pop(INITRAMFS),
                }
            ),
            id="kernel-named-otherwise",
        ),
        pytest.param(
            os_release("ID = 'centos'\r\nVERSION_ID=8 \r\nA=" + " " * 15_000 + "'x'"),
            id="release-file-by-hand",
        ),
    ],
)
def test_what_is_rare_is_not_remarked_on_either(found, change):
    assert found({"root-tgz": changed(change)}) == []


def test_what_is_said_is_short(found):
    data = changed(os_release("ID=centos\nVERSION_ID=" + "9" * 9000))
    listed = f"kernel-9-{'9' * 900}.x86_64\ncentos-release-{'9' * 900}-1.noarch\n".encode()
    findings = found({"root-tgz": data, "manifest": listed})
    assert codes(findings) == {
        "centos-release",
        "centos-manifest-kernel",
        "centos-manifest-release",
    }
    assert all(len(each.message) < 300 for each in findings)


def test_deep_names_cost_little(found):
    deep = {f"usr/{number}/" + "a/" * 1900 + "x": file(b"") for number in range(1500)}
    data = changed(lambda those: those.update(deep))
    start = time.process_time()
    assert found({"root-tgz": data}) == []
    assert time.process_time() - start < 3


def test_the_last_of_two_files_counts(found):
    data = twice("usr/lib/os-release", file(b"ID=debian\nVERSION_ID=12\n"))
    assert codes(found({"root-tgz": data})) == {"centos-release"}


def test_an_image_of_6_has_hooks(found):
    data = changed(without("curtin"), "6")
    assert codes(found({"root-tgz": data}, product("6"))) == {"centos-curtin-hooks"}


def test_a_release_of_no_number_is_not_compared(found):
    odd = Product("p", "c", {"os": "centos", "arch": "amd64", "release": "centos-nightly"}, ())
    (finding,) = found({"root-tgz": good()["root-tgz"]}, odd)
    assert (finding.severity, finding.code) == (Severity.NOTE, "centos-unknown-release")


def test_a_manifest_of_yum_s_names_is_read(found):
    files = good("9-stream")
    files["manifest"] = artefacts.rpm_manifest(
        {"kernel-core": kernel_version("9-stream"), "centos-stream-release": "9.0-26.el9.noarch"}
    )
    assert found(files, product("9-stream")) == []


@pytest.mark.parametrize(("name", "compression"), [("root-txz", "xz"), ("root-tbz", "bzip2")])
def test_other_forms(found, name, compression):
    assert found({name: root_tarball(members(), compression=compression)}) == []
    assert codes(found({name: good()["root-tgz"]})) == {"centos-compression"}


def test_attributes_of_selinux_hurt_nothing(found, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, entry in members().items():
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.mode, info.linkname = entry.kind, entry.mode, entry.target
            info.size = len(entry.content)
            label = "system_u:object_r:etc_t:s0"
            info.pax_headers = {"RHT.security.selinux": label, "SCHILY.xattr.user.x": "y"}
            archive.addfile(info, io.BytesIO(entry.content))
    assert found({"root-tgz": out.getvalue(), "manifest": good()["manifest"]}) == []


def test_memory_does_not_grow_with_the_image(found):
    many = {f"usr/share/doc/{number}": file(b"x") for number in range(20_000)}
    data = changed(lambda those: those.update(many))
    files = {"root-tgz": data, "manifest": artefacts.rpm_manifest(rpms("8"))}
    tracemalloc.start()
    assert found(files) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
