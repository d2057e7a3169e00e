"""Frames: groups of journal entries on disk, each whole or absent, chained by hash.

A frame is magic, length, CRC-32 of the rest, 16 bytes of chain and a payload. The chain is a hash of the chain before
and of this payload, so that no frame can be changed, dropped or moved without all later ones telling.

One frame is one commit: the frame before was durable before it was written. So what stands behind a broken frame tells
which kind of damage it is. Nothing whole: the tail of a write that a crash cut short, nobody was told of it, it goes. A
whole frame: something that had been durable is damaged, and no start is allowed to hide that.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass

__all__ = ["CHAIN_START", "Frame", "Scan", "first_frame", "make_frame", "scan_frames"]

_MAGIC = b"\xf5FSJ"
_HEAD = struct.Struct("<4sII")
_CHAIN_BYTES = 16
_LARGEST = 1 << 28  # a length above this is damage, not a frame
CHAIN_START = b"\0" * _CHAIN_BYTES


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame: where it ends, its chain and its payload."""

    end: int
    chain: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """What a stretch of bytes holds.

    Attributes
    ----------
    frames : whole frames from the start, in order
    end : offset behind the last of them
    broken_at : offset of a damage that is no torn tail, -1 where there is none
    """

    frames: tuple[Frame, ...]
    end: int
    broken_at: int = -1


def make_frame(before: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of a frame and its chain."""
    chain = _link(before, payload)
    body = chain + payload
    return _HEAD.pack(_MAGIC, len(payload), zlib.crc32(body)) + body, chain


def first_frame(content: bytes) -> Frame | None:
    """Return the frame at the start of a file by its own checksum, whatever chain it follows on; None without one."""
    return _frame_at(content, 0)


def scan_frames(content: bytes, before: bytes, *, base: int = 0) -> Scan:
    """Return the frames of a stretch that follows on a chain.

    Parameters
    ----------
    base : offset of the stretch in its file
    """
    frames, place = [], 0
    while True:
        frame = _frame_at(content, place)
        if frame is None or frame.chain != _link(before, frame.payload):
            break
        frames.append(Frame(base + frame.end, frame.chain, frame.payload))
        before, place = frame.chain, frame.end
    later = frame is not None or _any_whole_frame(content, place + 1)
    return Scan(tuple(frames), base + place, base + place if later else -1)


def _link(before: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHAIN_BYTES, key=before).digest()


def _frame_at(content: bytes, place: int) -> Frame | None:
    """Return the frame that begins at a place, by its own checksum, None where there is none."""
    if len(content) - place < _HEAD.size + _CHAIN_BYTES:
        return None
    magic, length, crc = _HEAD.unpack_from(content, place)
    start = place + _HEAD.size
    end = start + _CHAIN_BYTES + length
    if magic != _MAGIC or length > _LARGEST or end > len(content) or zlib.crc32(content[start:end]) != crc:
        return None
    return Frame(end, content[start : start + _CHAIN_BYTES], content[start + _CHAIN_BYTES : end])


def _any_whole_frame(content: bytes, place: int) -> bool:
    found = content.find(_MAGIC, place)
    while found >= 0:
        if _frame_at(content, found) is not None:
            return True
        found = content.find(_MAGIC, found + 1)
    return False
