from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core import cesr
from git_auths.core.cesr import CesrInvalid, IndexedSignature, Primitive

RAW_SIZES = {"D": 32, "B": 32, "E": 32, "1AAJ": 33, "1AAI": 33, "0A": 16, "0B": 64, "0I": 64, "1AAG": 24}
FULL_SIZES = {"D": 44, "B": 44, "E": 44, "1AAJ": 48, "1AAI": 48, "0A": 24, "0B": 88, "0I": 88, "1AAG": 36}
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

primitives = st.sampled_from(sorted(RAW_SIZES)).flatmap(
    lambda code: st.binary(min_size=RAW_SIZES[code], max_size=RAW_SIZES[code]).map(lambda raw: Primitive(code, raw))
)
raw_signatures = st.binary(min_size=64, max_size=64)
indexed_signatures = st.one_of(
    st.builds(lambda code, index, raw: IndexedSignature(code, index, index, raw),
              st.sampled_from("AE"), st.integers(0, 63), raw_signatures),
    st.builds(lambda code, index, raw: IndexedSignature(code, index, None, raw),
              st.sampled_from("BF"), st.integers(0, 63), raw_signatures),
    st.builds(IndexedSignature, st.sampled_from(["2A", "2E"]), st.integers(0, 4095), st.integers(0, 4095),
              raw_signatures),
    st.builds(lambda code, index, raw: IndexedSignature(code, index, None, raw),
              st.sampled_from(["2B", "2F"]), st.integers(0, 4095), raw_signatures),
)  # fmt: skip


@given(primitives, st.binary(max_size=5))
def test_a_primitive_comes_back_from_its_text(primitive: Primitive, rest: bytes) -> None:
    text = cesr.encode(*primitive)
    assert len(text) == FULL_SIZES[primitive.code]
    assert cesr.decode(text) == primitive
    assert cesr.read(b"xy" + text.encode() + rest, 2) == (primitive, 2 + len(text))


@given(indexed_signatures, st.binary(max_size=5))
def test_an_indexed_signature_comes_back_from_its_text(signature: IndexedSignature, rest: bytes) -> None:
    text = cesr.encode_indexed(signature)
    assert len(text) == (92 if signature.code[0] == "2" else 88)
    assert cesr.read_indexed(text.encode() + rest, 0) == (signature, len(text))


@given(st.sampled_from(sorted(cesr.COUNT_CODES)), st.integers(0, 4095))
def test_a_count_comes_back_from_its_text(code: str, count: int) -> None:
    assert cesr.read_count(cesr.encode_count(code, count).encode(), 0) == (code, count, 4)


@given(primitives, st.data())
def test_another_text_is_another_value_or_none(primitive: Primitive, data: st.DataObject) -> None:
    text = cesr.encode(*primitive)
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.sampled_from(BASE64URL + "+/= #é")) + text[place + 1 :]
    try:
        decoded = cesr.decode(other)
    except CesrInvalid:
        return
    assert cesr.encode(*decoded) == other


def test_zero_bytes_are_the_letter_a() -> None:
    assert cesr.encode("D", bytes(32)) == "D" + "A" * 43
    assert cesr.encode("1AAJ", bytes(33)) == "1AAJ" + "A" * 44
    assert cesr.encode_indexed(IndexedSignature("2A", 1, 64, bytes(64))) == "2AABBA" + "A" * 86


@pytest.mark.parametrize("text", [
    "D" + "Q" + "A" * 42,  # pad bits
    "D" + "A" * 42 + "+",
    "D" + "A" * 42 + "=",
    "D" + "A" * 42 + "\n",
    "D" + "A" * 42 + "é",
    "D" + "A" * 42,
    "D" + "A" * 44,
    "0B" + "E" + "A" * 85,  # pad bits after a code of two characters
    "F" + "A" * 43,
    "1AAB" + "A" * 44,
    "1",
    "-AAB",
    "",
])  # fmt: skip
def test_what_is_no_canonical_primitive_is_refused(text: str) -> None:
    with pytest.raises(CesrInvalid):
        cesr.decode(text)


@pytest.mark.parametrize("text", [
    "AA" + "Q" + "A" * 85,  # pad bits
    "A+" + "A" * 86,
    "2BAAAB" + "A" * 86,  # a prior index where the code has none
    "CA" + "A" * 86,
    "0AAA" + "A" * 152,
    "AA" + "A" * 85,
    "A",
    "2",
    "",
])  # fmt: skip
def test_what_is_no_canonical_indexed_signature_is_refused(text: str) -> None:
    with pytest.raises(CesrInvalid):
        cesr.read_indexed(text.encode(), 0)


@pytest.mark.parametrize("text", ["-F" + "AB", "-0VA", "--AA", "-AB", "-A+B", "AAAB", "-", ""])
def test_what_is_no_count_of_those_used_is_refused(text: str) -> None:
    with pytest.raises(CesrInvalid):
        cesr.read_count(text.encode(), 0)


@pytest.mark.parametrize("signature", [
    IndexedSignature("A", 64, 64, bytes(64)),
    IndexedSignature("A", 1, 2, bytes(64)),
    IndexedSignature("A", 1, None, bytes(64)),
    IndexedSignature("B", 1, 1, bytes(64)),
    IndexedSignature("2A", 1, 4096, bytes(64)),
    IndexedSignature("2A", 1, None, bytes(64)),
    IndexedSignature("A", 1, 1, bytes(63)),
    IndexedSignature("C", 1, 1, bytes(64)),
])  # fmt: skip
def test_indices_that_a_code_cannot_say_are_not_written(signature: IndexedSignature) -> None:
    with pytest.raises(CesrInvalid):
        cesr.encode_indexed(signature)


def test_material_of_the_wrong_length_is_not_written() -> None:
    with pytest.raises(CesrInvalid):
        cesr.encode("D", bytes(33))
    with pytest.raises(CesrInvalid):
        cesr.encode_count("-A", 4096)
    with pytest.raises(CesrInvalid):
        cesr.encode_count("-F", 1)


def test_a_digest_is_blake3_256() -> None:
    digest = cesr.digest(b"abc")
    assert cesr.decode(digest) == Primitive("E", blake3(b"abc").digest())
    assert cesr.is_digest(digest)


@pytest.mark.parametrize("text", ["D" + "A" * 43, "E" + "Q" + "A" * 42, "E" + "A" * 42, "E" + "é" * 43, None, 44])
def test_nothing_else_is_a_digest(text: object) -> None:
    assert not cesr.is_digest(text)


@given(st.integers(0, (1 << 24) - 1))
def test_a_size_comes_back_from_the_version_string(size: int) -> None:
    text = cesr.format_version(size)
    assert len(text) == cesr.VERSION_SIZE
    assert cesr.parse_version(text.encode()) == size


@pytest.mark.parametrize("text", [
    b"KERI10JSON0000AA_", b"KERI10JSON0000aa.", b"KERI11JSON0000aa_", b"KERI10CBOR0000aa_", b"ACDC10JSON0000aa_",
    b"KERI10JSON+000aa_", b"KERI10JSON00000a", b"KERI10JSON 000aa_",
    b"KERI10JSON00000aa_",
])  # fmt: skip
def test_no_other_version_string_is_read(text: bytes) -> None:
    with pytest.raises(CesrInvalid):
        cesr.parse_version(text)


def test_no_version_string_states_more_than_six_hex_digits() -> None:
    with pytest.raises(CesrInvalid):
        cesr.format_version(1 << 24)
