from __future__ import annotations

import hashlib

import pytest
from bandersnatch.hashes import LENGTHS, Hasher, all_of


@pytest.mark.parametrize("name", LENGTHS)
def test_each_known_hash_is_computed(name: str) -> None:
    hasher = Hasher(f"{name}:{'0' * LENGTHS[name]}")
    hasher.update(b"ab")
    hasher.update(memoryview(b"c"))
    kind, _, value = hasher.digest().partition(":")
    assert kind == name
    assert len(value) == LENGTHS[name]
    wide = hashlib.blake2b(b"abc", digest_size=32) if name == "blake2b_256" else hashlib.new(name, b"abc")
    assert value == wide.hexdigest()


def test_several_hashes_are_right_together_or_not_at_all() -> None:
    stated = all_of({"sha256": hashlib.sha256(b"x").hexdigest(), "md5": hashlib.md5(b"x").hexdigest()})
    hasher = Hasher(stated)
    hasher.update(b"x")
    assert hasher.digest() == stated
    hasher.update(b"y")
    assert hasher.digest() != stated


def test_without_a_digest_it_is_sha256() -> None:
    assert Hasher("").digest() == f"sha256:{hashlib.sha256(b'').hexdigest()}"


@pytest.mark.parametrize("name", ["shake_128", "crc32", "", "a:b"])
def test_other_hashes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown hash"):
        Hasher(f"{name}:00")
