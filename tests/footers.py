"""Footers of parquet files, changed as other programs write them: in thrift's compact protocol, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

NAMED_TWICE = 0x25  # the header of the field `converted_type` of a column, after that of its name
LOGICAL_TYPE = 0x4C  # the header of `logicalType`, after `converted_type`
ITS_END = b"\x00\x00\x00\x00"


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change the footer of a file; all else stays."""
    content = path.read_bytes()
    size = struct.unpack("<I", content[-8:-4])[0]
    footer = change(content[-8 - size : -8])
    path.write_bytes(content[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1")
    return path


def _after_name(footer: bytes, name: str) -> int:
    field = bytes([0x18, len(name)]) + name.encode()
    return footer.index(field) + len(field)


def without_converted_type(path: Path, *names: str) -> Path:
    """Leave only the LogicalType of some columns, as hyparquet's and newer Rust writers do."""

    def change(footer: bytes) -> bytes:
        for name in names:
            at = _after_name(footer, name)
            assert footer[at] == NAMED_TWICE
            skipped = footer[at + 2] + 0x20  # the next field comes two numbers later
            footer = footer[:at] + bytes([skipped]) + footer[at + 3 :]
        return footer

    return rewrite(path, change)


def without_logical_type(path: Path, name: str) -> Path:
    """Leave only the ConvertedType of a column of times, as Spark 2 and Athena do (parquet's format 1)."""

    def change(footer: bytes) -> bytes:
        start = footer.index(bytes([LOGICAL_TYPE, 0x8C]), _after_name(footer, name))
        return footer[:start] + footer[footer.index(ITS_END, start) + 4 :]

    return rewrite(path, change)
