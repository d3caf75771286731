"""Idempotency keys in headers, and the order ids that follow from them."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from service.keys import is_order_id, order_id, quote_key, read_key
from service.problems import Problem
from service.uuid7 import mint_key
from tests.harness import SEED

SECRET = bytes(range(32))
UUID4 = "0f8fad5b-d9cb-469f-a165-70867728950e"
UUID7 = "01936b5e-1234-7abc-8def-0123456789ab"

visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
keys = st.text(visible, min_size=16, max_size=255)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (UUID4, UUID4),
        (f'"{UUID4}"', UUID4),
        ("0123456789abcdef", "0123456789abcdef"),
        ('"0123456789abcdef"', "0123456789abcdef"),
        ("!~" * 8, "!~" * 8),
        ("k" * 255, "k" * 255),
        (f'"{"k" * 255}"', "k" * 255),
        (r'"a\"quoted\\key-of-mine"', r'a"quoted\key-of-mine'),
        (r'"\\\\\\\\\\\\\\\\\"\"\"\"\"\"\"\""', "\\" * 8 + '"' * 8),
        (r"a\bare\key-of-mine", r"a\bare\key-of-mine"),
    ],
)
def test_a_key_may_come_quoted_or_bare(header: str, key: str) -> None:
    assert read_key(header) == key


@pytest.mark.parametrize(
    "header",
    [
        "",
        '""',
        "short",
        "0123456789abcde",
        '"0123456789abcde"',
        r'"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""',  # 32 characters to write, 15 to read
        "k" * 256,
        f'"{"k" * 256}"',
        "a key that has spaces",
        '"a key that has spaces"',
        "0123456789abcdef\n",
        "0123456789abcdef\x00",
        "0123456789abcdef\x7f",
        "0123456789abcdéf",
        "٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥",
        '"0123456789abcdef" ',
        "0123456789abcdef, 0123456789abcdef",
    ],
)
def test_a_key_that_could_be_guessed_or_is_not_visible_ascii_is_malformed(header: str) -> None:
    with pytest.raises(Problem) as refused:
        read_key(header)
    assert refused.value.slug == "malformed-request"
    assert "16 to 255" in refused.value.detail


@seed(SEED)
@given(keys)
def test_whatever_key_was_used_is_found_again_by_what_the_answer_quotes(key: str) -> None:
    assert read_key(quote_key(key)) == key


@seed(SEED)
@given(st.text(max_size=40) | st.text(visible, max_size=300))
def test_any_header_is_read_as_a_key_or_refused(header: str) -> None:
    try:
        key = read_key(header)
    except Problem:
        return
    assert 16 <= len(key) <= 255
    assert all("!" <= character <= "~" for character in key)


# --- order ids ------------------------------------------------------------------------------------


@seed(SEED)
@given(keys, st.binary(min_size=1, max_size=64))
def test_an_order_id_is_a_valid_uuid_whatever_the_key(key: str, secret: bytes) -> None:
    found = order_id(secret, key)
    assert str(UUID(found)) == found
    assert UUID(found).variant == RFC_4122
    assert UUID(found).version in (7, 8)
    assert is_order_id(found)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("a-key-of-some-length", "043b899e-65b2-831f-a666-a944c751344e"),
        (UUID4, "85087249-543a-8055-a48f-dc372bc5c9b6"),
        (UUID7, "01936b5e-1234-7678-b9ea-893d6bc653cd"),
    ],
)
def test_a_key_names_the_same_order_in_every_later_version(key: str, found: str) -> None:
    """Or a purchase that is repeated after an upgrade would sell again."""
    assert order_id(SECRET, key) == found


def test_a_key_names_another_order_in_another_ledger() -> None:
    assert order_id(SECRET, UUID4) != order_id(bytes(32), UUID4)


def test_keys_that_differ_little_name_orders_that_differ_much() -> None:
    one, other = order_id(SECRET, UUID4), order_id(SECRET, UUID4[:-1] + "f")
    assert sum(a != b for a, b in zip(one, other, strict=True)) > 16


@pytest.mark.parametrize("key", [UUID7, mint_key()], ids=["known", "minted"])
def test_the_time_in_a_uuid7_key_is_kept_and_nothing_else_of_it(key: str) -> None:
    """New ids sort last, so that the index grows at its end; but whoever knows one finds no key."""
    found = order_id(SECRET, key)
    assert found[:15] == key[:15]
    assert found[15:] != key[15:]
    assert UUID(found).version == 7


@pytest.mark.parametrize("key", [UUID4, UUID7.upper(), f"{UUID7}0", UUID7.replace("-8", "-c")])
def test_the_id_of_any_other_key_says_nothing_of_it(key: str) -> None:
    found = order_id(SECRET, key)
    assert UUID(found).version == 8
    assert found[:8] != key[:8].lower()


@pytest.mark.parametrize(
    "text",
    ["", "x", UUID4.upper(), UUID4 + "0", UUID4 + "\n", UUID4.replace("-", ""), "g" + UUID4[1:]],
)
def test_what_is_not_spelled_as_an_order_id_is_none(text: str) -> None:
    assert not is_order_id(text)
