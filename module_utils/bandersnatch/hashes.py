"""The hashes that an index may state of a file: those that we can check. What a page states was checked.

A digest is "<algorithm>:<hex>", or several of them with a space between: a file is right if all of them are.
"""

from __future__ import annotations

import hashlib

# Hex digits of the hashes that prove what a file is, the best first; those that installers check too precede
# the others.
STRONG = {
    "sha512": 128,
    "sha384": 96,
    "sha256": 64,
    "sha3_512": 128,
    "blake2b": 128,
    "sha3_384": 96,
    "sha3_256": 64,
    "blake2b_256": 64,
}
LENGTHS = STRONG | {"md5": 32, "sha1": 40, "sha224": 56, "sha3_224": 56, "blake2s": 64}


class Hasher:
    """Computes what `digest` states; SHA-256 where that is empty. Raises ValueError: no such hash."""

    def __init__(self, digest: str) -> None:
        names = [part.partition(":")[0] for part in digest.split()] or ["sha256"]
        self._hashes = [(name, _new(name)) for name in names]

    def update(self, data: bytes | memoryview) -> None:
        """Take in what comes next."""
        for _, one in self._hashes:
            one.update(data)

    def digest(self) -> str:
        """The digest of what was taken in, spelt as the one that was given."""
        return " ".join([f"{name}:{one.hexdigest()}" for name, one in self._hashes])


def all_of(hashes: dict[str, str]) -> str:
    """One digest of all of these hashes."""
    return " ".join([f"{name}:{value}" for name, value in hashes.items()])


def _new(name: str) -> hashlib._Hash | hashlib.blake2b:
    if name not in LENGTHS:
        raise ValueError(f"unknown hash {name}")
    if name == "blake2b_256":  # as the big index calls BLAKE2b of 32 bytes
        return hashlib.blake2b(digest_size=32)
    return hashlib.new(name, usedforsecurity=False)
