"""A root file system with one fault, and the finding that names it; a good one has none."""

from __future__ import annotations

import pytest
import root_builder as build
from root_builder import (
    DEBIAN_KERNEL,
    RHEL_KERNEL,
    Node,
    check,
    codes,
    debian,
    folder,
    hard_link,
    link,
    program,
    put,
    remade,
    rhel,
    text,
    tgz,
    without,
)

from mirror.testing import kernels

VMLINUZ, INITRAMFS = f"boot/vmlinuz-{RHEL_KERNEL}", f"boot/initramfs-{RHEL_KERNEL}.img"
HOOKS = "curtin/curtin-hooks"
ERROR, WARNING, NOTE = "error", "warning", "note"
SECRET = "hunter2-of-the-builder"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("tree", "name", "more"),
    [
        (rhel(), "rhel/9", {}),
        (rhel(), "rhel/rhel94", {}),
        (rhel(), "rhel/9.4-golden", {}),
        (rhel(os_id="rocky"), "custom/rocky9", {"base_image": "rhel/9"}),
        (rhel(os_id="centos", version="9"), "centos/9-stream", {}),
        (rhel(os_id="centos", version="7"), "centos/centos70", {}),
        (rhel(os_id="ol", version="8.10"), "ol/8.10", {}),
        (rhel(version="10.1"), "rhel/10", {}),
        (debian(os_id="ubuntu", codename="noble"), "custom/ours", {"base_image": "ubuntu/noble"}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_good_one_has_no_finding(tmp_path, tree, name, more, prefix):
    assert check(tgz(tree, prefix=prefix), tmp_path, name, **more) == []


def test_the_order_of_entries_does_not_matter(tmp_path):
    tree = put("etc/ssh/ssh_host_rsa_key", "x")(rhel("arm64"))
    backwards = dict(reversed(tree.items()))
    found = check(tgz(tree), tmp_path, arch="amd64")
    assert codes(found) >= {(ERROR, "arch"), (ERROR, "kernel-arch"), (WARNING, "host-keys")}
    assert codes(check(tgz(backwards), tmp_path, arch="amd64")) == codes(found)


RHEL_FAULTS = {
    # what it says that it is
    "debian by name": (put("usr/lib/os-release", "ID=debian\n"), ERROR, "other-system"),
    "a sibling": (put("usr/lib/os-release", 'ID=rocky\nID_LIKE="rhel"\n'), WARNING, "other-system"),
    "another release": (
        put("usr/lib/os-release", "ID=rhel\nVERSION_ID=8.9\n"),
        ERROR,
        "other-release",
    ),
    "no os-release": (without("os-release"), ERROR, "no-os-release"),
    "an empty os-release": (put("usr/lib/os-release", ""), ERROR, "no-os-release"),
    "only redhat-release": (
        lambda tree: put("etc/redhat-release", "Red Hat")(without("os-release")(tree)),
        WARNING,
        "no-os-release",
    ),
    # kernels
    "no kernel": (without("vmlinuz"), ERROR, "no-kernel"),
    "no kernel, but hooks": (
        lambda tree: put(HOOKS, text("#!/bin/sh\n", 0o755))(without("vmlinuz")(tree)),
        WARNING,
        "no-kernel",
    ),
    "no modules": (without("lib/modules"), WARNING, "no-modules"),
    "no initramfs": (without("initramfs"), WARNING, "no-initramfs"),
    "an initramfs of another kernel": (
        lambda tree: put("boot/initramfs-5.14.0-1.el9.x86_64.img", tree[INITRAMFS])(
            without(INITRAMFS)(tree)
        ),
        WARNING,
        "no-initramfs",
    ),
    "an initramfs without its modules": (
        put(INITRAMFS, Node(content=kernels.initrd_image("6.0.0", b"x", compression="gzip"))),
        WARNING,
        "initramfs",
    ),
    "a cut initramfs": (
        put(INITRAMFS, Node(content=b"\x1f\x8b\x08" + bytes(20))),
        WARNING,
        "initramfs",
    ),
    "a cut kernel": (
        lambda tree: remade(VMLINUZ, content=tree[VMLINUZ].content[:900])(tree),
        WARNING,
        "kernel",
    ),
    "no kernel at all": (put(VMLINUZ, "hello"), WARNING, "kernel"),
    # cloud-init
    "no cloud-init": (without("cloud"), WARNING, "no-cloud-init"),
    "cloud-init disabled": (
        put("etc/cloud/cloud-init.disabled", ""),
        WARNING,
        "cloud-init-disabled",
    ),
    "cloud-init without MAAS": (without("DataSourceMAAS"), WARNING, "no-datasource"),
    "another source after MAAS's": (
        put("etc/cloud/cloud.cfg.d/99-x.cfg", "datasource_list: [ NoCloud, None ]\n"),
        WARNING,
        "no-datasource",
    ),
    "another source in a list": (
        put("etc/cloud/cloud.cfg.d/99-x.cfg", "datasource_list:\n  - NoCloud\n"),
        WARNING,
        "no-datasource",
    ),
    "no oauthlib": (without("oauthlib"), WARNING, "no-oauthlib"),
    "cloud-init has no network": (
        put("etc/cloud/cloud.cfg.d/99-x.cfg", "network: {config: disabled}\n"),
        WARNING,
        "network-disabled",
    ),
    # hooks
    "hooks that can't run": (put(HOOKS, text("#!/bin/bash\n", 0o644)), ERROR, "curtin-hooks"),
    "empty hooks": (put(HOOKS, text("", 0o755)), ERROR, "curtin-hooks"),
    "hooks without #!": (put(HOOKS, text("echo\n", 0o755)), ERROR, "curtin-hooks"),
    "hooks of Windows": (put(HOOKS, text("#!/bin/bash\r\n", 0o755)), ERROR, "curtin-hooks"),
    "hooks in Python 2": (
        put(HOOKS, text("#!/usr/bin/env python3\nprint 'x'\n", 0o755)),
        ERROR,
        "curtin-hooks",
    ),
    "hooks for python": (put(HOOKS, text("#!/usr/bin/python\n", 0o755)), WARNING, "curtin-hooks"),
    "hooks for ruby": (put(HOOKS, text("#!/usr/bin/env ruby\n", 0o755)), WARNING, "curtin-hooks"),
    "hooks that are a directory": (put(HOOKS, folder()), ERROR, "curtin-hooks"),
    # boot loaders
    "no grub2-install": (without("grub2-install"), WARNING, "boot-parts"),
    "no shim": (without("shim"), WARNING, "boot-parts"),
    "no efibootmgr": (without("efibootmgr"), WARNING, "boot-parts"),
    "no modules for BIOS": (without("i386-pc"), WARNING, "boot-parts"),
    "no boot/efi": (without("boot/efi"), WARNING, "no-boot-efi"),
    "a directory that MAAS never looks into": (
        lambda tree: {
            path.replace("EFI/redhat", "EFI/almalinux"): each for path, each in tree.items()
        },
        WARNING,
        "efi-directory",
    ),
    # architecture
    "another architecture": (lambda _: rhel("arm64"), ERROR, "arch"),
    "a kernel of another architecture": (
        lambda tree: tree | {VMLINUZ: rhel("arm64")[VMLINUZ]},
        ERROR,
        "kernel-arch",
    ),
    "a program of another architecture": (
        put("usr/bin/cat", program("arm64")),
        WARNING,
        "arch-mixed",
    ),
    "no programs": (without("usr/bin/bash", "usr/bin/cat"), WARNING, "no-programs"),
    # owners, modes, labels
    "all of it somebody's": (
        lambda tree: remade("usr", uid=1000)(remade("etc", uid=1000)(tree)),
        ERROR,
        "owner",
    ),
    "/ somebody's": (remade(".", uid=1000), WARNING, "owner"),
    "sudo without setuid": (remade("usr/bin/sudo", mode=0o755), WARNING, "setuid"),
    "etc for anyone to write": (remade("etc", mode=0o777), WARNING, "mode"),
    "a shadow for anyone to read": (remade("etc/shadow", mode=0o644), WARNING, "mode"),
    "labels lost": (put("etc/selinux/config", "SELINUX=enforcing\n"), WARNING, "labels"),
    "labels lost, to be made anew": (
        lambda tree: put(".autorelabel", "")(
            put("etc/selinux/config", "SELINUX=enforcing\n")(tree)
        ),
        NOTE,
        "labels",
    ),
    # leftovers
    "a machine-id": (
        put("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        WARNING,
        "machine-id",
    ),
    "host keys": (put("etc/ssh/ssh_host_ed25519_key", KEY), WARNING, "host-keys"),
    "an fstab": (put("etc/fstab", "# x\nUUID=1234-5678 / xfs defaults 0 0\n"), WARNING, "fstab"),
    "an fstab by device": (
        put("etc/fstab", "/dev/mapper/rl-root / xfs rw 0 0\n"),
        WARNING,
        "fstab",
    ),
    "network cards": (
        put("etc/udev/rules.d/70-persistent-net.rules", 'SUBSYSTEM=="net", NAME="eth0"\n'),
        WARNING,
        "persistent-net",
    ),
    "an ifcfg": (
        put("etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\n"),
        WARNING,
        "ifcfg",
    ),
    "a connection": (
        put("etc/NetworkManager/system-connections/a.nmconnection", "x"),
        WARNING,
        "ifcfg",
    ),
    "cloud-init's state": (put("var/lib/cloud/instances/i-1/obj.pkl", "x"), WARNING, "cloud-state"),
    "a history": (put("root/.bash_history", f"mysql -p{SECRET}\n"), NOTE, "history"),
    "a device": (put("srv/null", Node("char", device=(1, 3))), WARNING, "device"),
    "devices in dev": (put("dev/null", Node("char", device=(1, 3))), NOTE, "dev-nodes"),
    # secrets
    "a consumer": (put("etc/pki/consumer/key.pem", KEY), WARNING, "subscription"),
    "an entitlement": (put("etc/pki/entitlement/1234-key.pem", KEY), WARNING, "subscription"),
    "a system id": (put("etc/sysconfig/rhn/systemid", SECRET), WARNING, "subscription"),
    "a proxy of dnf": (
        put("etc/dnf/dnf.conf", f"[main]\nproxy=http://u:{SECRET}@10.0.0.1\n"),
        WARNING,
        "proxy",
    ),
    "a proxy of apt": (
        put("etc/apt/apt.conf.d/01proxy", f'Acquire::http::Proxy "http://u:{SECRET}@p:3128";\n'),
        WARNING,
        "proxy",
    ),
    "a proxy of all": (
        put("etc/environment", f'http_proxy="http://{SECRET}/"\n'),
        WARNING,
        "proxy",
    ),
    "somebody's key": (
        put("root/.ssh/authorized_keys", f"ssh-rsa {SECRET}\n"),
        WARNING,
        "authorized-keys",
    ),
    "a private key": (put("home/packer/.ssh/id_ed25519", KEY), WARNING, "private-key"),
    "a kickstart": (
        put("root/anaconda-ks.cfg", f"rootpw --plaintext {SECRET}\n"),
        WARNING,
        "password",
    ),
    "a kickstart, by default": (
        put("root/original-ks.cfg", f"rootpw {SECRET}\n"),
        WARNING,
        "password",
    ),
    "a password for cloud-init": (
        put("etc/cloud/cloud.cfg.d/10-x.cfg", f"plain_text_passwd: {SECRET}\n"),
        WARNING,
        "password",
    ),
    "root's password": (
        put("etc/shadow", text(f"root:$6$salt${SECRET}:19000::::::\n", 0o640)),
        WARNING,
        "root-password",
    ),
    "no password": (put("etc/shadow", text("guest::19000::::::\n", 0o640)), WARNING, "no-password"),
    "a user's password": (
        put("etc/shadow", text(f"packer:$6$salt${SECRET}:19000::::::\n", 0o640)),
        WARNING,
        "password",
    ),
    # what harms who unpacks it
    "a name that climbs": (put("../etc/cron.d/x", "x"), ERROR, "climbs"),
    "an absolute name": (lambda tree: tree | {"/etc/cron.d/x": text("x")}, ERROR, "climbs"),
    "a hard link that climbs": (put("etc/x", hard_link("../../etc/shadow")), ERROR, "link-climbs"),
    "an absolute hard link": (put("etc/x", hard_link("/etc/shadow")), ERROR, "link-climbs"),
    "a hard link to nothing": (put("etc/x", hard_link("etc/nothing")), WARNING, "link-nowhere"),
    # what it is at all
    "one directory more": (
        lambda tree: {f"rootfs/{path}": each for path, each in tree.items()},
        ERROR,
        "layout",
    ),
    "no root": (lambda _: {"usr": folder(), "readme": text("x")}, ERROR, "layout"),
    "a layer of a container": (put("etc/.wh.passwd", ""), ERROR, "layer"),
    "a container's": (put(".dockerenv", ""), WARNING, "container"),
    "a broken list of packages": (
        put("var/lib/rpm/Packages", "x" * 600),
        WARNING,
        "packages-unread",
    ),
}


@pytest.mark.parametrize("fault", RHEL_FAULTS)
def test_a_fault_is_found(tmp_path, fault):
    change, severity, code = RHEL_FAULTS[fault]
    found = check(tgz(change(rhel())), tmp_path)
    assert (severity, code) in codes(found)
    assert severity == ERROR or not build.errors(found)
    for each in found:
        assert each.where.startswith("root-tgz")
        assert each.message.isprintable()
        assert SECRET not in each.message + each.where


@pytest.mark.parametrize("fault", RHEL_FAULTS)
def test_a_fault_is_found_alone(tmp_path, fault):
    """One fault has one finding, or a few that follow from it; never a dozen."""
    change, _, _ = RHEL_FAULTS[fault]
    assert len(check(tgz(change(rhel())), tmp_path)) <= 6


DEBIAN_FAULTS = {
    "needs a preseed": ("custom/debian12", lambda tree: tree, NOTE, "debian-preseed"),
    "no kernel": ("custom/debian12", without("vmlinuz"), NOTE, "no-kernel"),
    "no grub": ("custom/debian12", without("grub-install"), NOTE, "boot-parts"),
    "named rhel": ("rhel/9", lambda tree: tree, ERROR, "other-system"),
    "named rocky": ("custom/rocky9", lambda tree: tree, WARNING, "other-system"),
    "a system that nobody knows": (
        "custom/mine",
        put("usr/lib/os-release", "ID=mine\n"),
        WARNING,
        "unknown-system",
    ),
    "a SUSE": (
        "custom/mine",
        put("usr/lib/os-release", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n'),
        NOTE,
        "suse-without-hooks",
    ),
}


@pytest.mark.parametrize("fault", DEBIAN_FAULTS)
def test_a_fault_of_debian_is_found(tmp_path, fault):
    name, change, severity, code = DEBIAN_FAULTS[fault]
    found = check(tgz(change(debian())), tmp_path, name)
    assert (severity, code) in codes(found)
    assert severity == ERROR or not build.errors(found)


@pytest.mark.parametrize(
    ("base", "warns"),
    [("ubuntu/jammy", True), ("ubuntu/noble", False), ("rhel/9", True), ("", False)],
)
def test_the_base_image_is_what_the_image_is_made_from(tmp_path, base, warns):
    tree = debian(os_id="ubuntu", codename="noble")
    found = check(tgz(tree), tmp_path, "custom/ours", base_image=base)
    assert ((WARNING, "other-base") in codes(found)) is warns


GOOD = {
    "a machine-id for the first boot": put("etc/machine-id", "uninitialized\n"),
    "MAAS among the sources": put(
        "etc/cloud/cloud.cfg.d/99-x.cfg", "datasource_list: [ MAAS, None ]\n"
    ),
    "another source before MAAS's": put(
        "etc/cloud/cloud.cfg.d/10-x.cfg", "datasource_list: [ NoCloud ]\n"
    ),
    "a source in a remark": put(
        "etc/cloud/cloud.cfg.d/99-x.cfg", "# datasource_list: [ NoCloud ]\n"
    ),
    "hooks in Python": put(HOOKS, text("#!/usr/bin/env python3\nprint(r'\\d', '\\d')\n", 0o755)),
    "hooks of a shell": put(HOOKS, text("#!/bin/bash -e\nexit 0\n", 0o755)),
    "a proxy that is none": put("etc/dnf/dnf.conf", "[main]\n#proxy=http://x\nproxy=_none_\n"),
    "a proxy in a remark": put(
        "etc/apt/apt.conf", '// Acquire::http::Proxy "http://x";\nAcquire::http::Proxy "DIRECT";\n'
    ),
    "an fstab of tmpfs": put("etc/fstab", "tmpfs /tmp tmpfs defaults 0 0\n"),
    "a kickstart with a hash": put("root/anaconda-ks.cfg", "rootpw --iscrypted $6$a$b\n"),
    "an ifcfg of lo": put("etc/sysconfig/network-scripts/ifcfg-lo", "DEVICE=lo\n"),
    "a certificate": put("etc/pki/tls/cert.pem", "-----BEGIN CERTIFICATE-----\n"),
    "permissive, without labels": put("etc/selinux/config", "SELINUX=permissive\n"),
    "enforcing, with labels": lambda tree: build.labelled(
        put("etc/selinux/config", "# SELINUX= is one of\nSELINUX=enforcing\n")(tree)
    ),
    "a hard link": put("etc/x", hard_link("etc/fstab")),
    "a rescue kernel": put("boot/vmlinuz-0-rescue-0123", "x"),
    "a kernel below its modules": lambda tree: put(
        f"usr/lib/modules/{RHEL_KERNEL}/vmlinuz", tree[VMLINUZ]
    )(without("boot/vmlinuz")(tree)),
    "no link of /usr merged": lambda tree: {
        path.removeprefix("usr/") if path.startswith(("usr/bin", "usr/lib/modules")) else path: each
        for path, each in tree.items()
        if path not in {"bin", "lib"}
    },
    "an entry with a name that is no UTF-8": lambda tree: tree | {"etc/gr\udcfc\udcdf": text("x")},
    "BOOT beside a directory of its own": lambda tree: (
        tree
        | {
            "boot/efi/EFI/almalinux/shimx64.efi": text("MZ"),
            "boot/efi/EFI/BOOT/BOOTX64.EFI": text("MZ"),
        }
    ),
}


@pytest.mark.parametrize("what", GOOD)
def test_what_is_good_is_let_be(tmp_path, what):
    assert check(tgz(GOOD[what](rhel())), tmp_path) == []


def test_a_kernel_that_boot_loaders_of_systemd_start(tmp_path):
    tree = rhel()
    found = {
        "boot/0123/5.14/linux": tree[VMLINUZ],
        "boot/0123/5.14/initrd": tree[INITRAMFS],
        "usr/lib/modules/5.14/modules.dep": text("x"),
    }
    moved = without("vmlinuz", "initramfs", "lib/modules")(tree) | found
    assert not build.errors(check(tgz(moved), tmp_path))
    assert (ERROR, "no-kernel") not in codes(check(tgz(moved), tmp_path))


def test_debian_s_initrd_is_its_kernel_s(tmp_path):
    other = debian()[f"boot/initrd.img-{DEBIAN_KERNEL}"]
    moved = without("initrd.img")(debian()) | {"boot/initrd.img-6.1.0-1-amd64": other}
    assert (WARNING, "no-initramfs") in codes(check(tgz(moved), tmp_path, "custom/debian12"))


def test_a_place_names_what_is_inside(tmp_path):
    found = check(tgz(put("etc/fstab", "/dev/sda1 / xfs rw 0 0\n")(rhel())), tmp_path)
    assert [each.where for each in found] == ["root-tgz: etc/fstab"]


def test_many_like_it_are_one_finding(tmp_path):
    keys = {f"etc/ssh/ssh_host_{kind}_key": text("x") for kind in ("rsa", "dsa", "ecdsa")}
    (found,) = check(tgz(rhel() | keys), tmp_path)
    assert "(2 more are like it)" in found.message


def test_a_link_in_a_circle_is_no_loop(tmp_path):
    circle = {"etc/os-release": link("../usr/lib/os-release")}
    circle["usr/lib/os-release"] = link("../../etc/os-release")
    circle["usr/bin/sh"] = link("sh")
    assert (ERROR, "no-os-release") in codes(check(tgz(rhel() | circle), tmp_path))
