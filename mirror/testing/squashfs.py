"""Write a real squashfs, small and deterministic, with nothing but the standard library.

Version 4.0, no compression, no fragments, no xattrs: Linux mounts it and unsquashfs reads it, yet
no mksquashfs is needed where the tests run.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK_LOG = 17
BLOCK_SIZE = 1 << BLOCK_LOG
METADATA_BLOCK = 8192
STORED_METADATA = 0x8000
STORED_DATA = 1 << 24
# inodes, data, fragments and ids are stored; there are no fragments and no xattrs
FLAGS = 0x0001 | 0x0002 | 0x0008 | 0x0010 | 0x0200 | 0x0800
GZIP = 1
NONE_32 = 0xFFFFFFFF
NONE_64 = 0xFFFFFFFFFFFFFFFF
SUPERBLOCK_SIZE = 96
DIRECTORY, FILE = 1, 2

Tree = dict[str, "Tree | bytes"]


def squashfs_image(files: Mapping[str, bytes], *, mtime: int = 0) -> bytes:
    """Return an image that holds `files` (relative path -> content), owned by root.

    `mtime` is in seconds since 1970, for every file and the image itself.
    """
    writer = _Writer(mtime)
    root, _ = writer.directory(_tree(files))
    return writer.image(root)


def _tree(files: Mapping[str, bytes]) -> Tree:
    root: Tree = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        here = root
        for folder in folders:
            child = here.setdefault(folder, {})
            if not isinstance(child, dict):
                raise TypeError(f"{path!r} lies below a file")
            here = child
        here[name] = content
    return root


class _Writer:
    """The four tables, while they grow."""

    def __init__(self, mtime: int) -> None:
        self.mtime = mtime
        self.data = bytearray()
        self.inodes = bytearray()
        self.listings = bytearray()
        self.count = 0

    def directory(self, tree: Tree) -> tuple[int, int]:
        """Add a directory after its children; return where its inode is, and its number."""
        listing = bytearray()
        folders = 0
        for name in sorted(tree):
            child = tree[name]
            if isinstance(child, bytes):
                kind, (position, number) = FILE, self.file(child)
            else:
                kind, (position, number) = DIRECTORY, self.directory(child)
                folders += 1
            listing += _entry(name.encode(), kind, position, number)
        start = len(self.listings)
        self.listings += listing
        block, offset = divmod(start, METADATA_BLOCK)
        # The parent's number is not known yet when children come first; only NFS export reads it.
        body = struct.pack(
            "<IIHHI",
            block * (METADATA_BLOCK + 2),
            folders + 2,
            len(listing) + 3,
            offset,
            self.count + 2,
        )
        return self.inode(DIRECTORY, 0o755, body)

    def file(self, content: bytes) -> tuple[int, int]:
        """Add a file; return where its inode is, and its number."""
        start = SUPERBLOCK_SIZE + len(self.data)
        self.data += content
        sizes = [
            min(BLOCK_SIZE, len(content) - at) | STORED_DATA
            for at in range(0, len(content), BLOCK_SIZE)
        ]
        body = struct.pack("<IIII", start, NONE_32, 0, len(content))
        return self.inode(FILE, 0o644, body + struct.pack(f"<{len(sizes)}I", *sizes))

    def inode(self, kind: int, mode: int, body: bytes) -> tuple[int, int]:
        position = len(self.inodes)
        self.count += 1
        self.inodes += struct.pack("<HHHHII", kind, mode, 0, 0, self.mtime, self.count) + body
        return position, self.count

    def image(self, root: int) -> bytes:
        inodes, listings, ids = (
            _stored(table) for table in (self.inodes, self.listings, struct.pack("<I", 0))
        )
        inode_table = SUPERBLOCK_SIZE + len(self.data)
        listing_table = inode_table + len(inodes)
        ids_at = listing_table + len(listings)
        id_table = ids_at + len(ids)
        used = id_table + 8
        block, offset = divmod(root, METADATA_BLOCK)
        header = struct.pack("<4sIIII", b"hsqs", self.count, self.mtime, BLOCK_SIZE, 0)
        header += struct.pack("<HHHHHH", GZIP, BLOCK_LOG, FLAGS, 1, 4, 0)
        header += struct.pack("<QQ", (block * (METADATA_BLOCK + 2)) << 16 | offset, used)
        header += struct.pack("<QQQQ", id_table, NONE_64, inode_table, listing_table)
        header += struct.pack("<QQ", ids_at, NONE_64)
        image = header + self.data + inodes + listings + ids + struct.pack("<Q", ids_at)
        return image + bytes(-len(image) % 4096)


def _entry(name: bytes, kind: int, position: int, number: int) -> bytes:
    """Return a listing of one entry: its own header, so that it never spans inode blocks."""
    block, offset = divmod(position, METADATA_BLOCK)
    header = struct.pack("<III", 0, block * (METADATA_BLOCK + 2), number)
    return header + struct.pack("<HhHH", offset, 0, kind, len(name) - 1) + name


def _stored(table: bytes | bytearray) -> bytes:
    out = bytearray()
    for at in range(0, len(table), METADATA_BLOCK):
        piece = table[at : at + METADATA_BLOCK]
        out += struct.pack("<H", STORED_METADATA | len(piece)) + piece
    return bytes(out)
