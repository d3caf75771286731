"""What is wrong with a value is said without the names of a programmer's types."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import msgspec
import pytest
from msgspec import inspect

from service import wire
from tests.unit.test_settings import told
from workers.domain import MAX_ITEMS_PER_ORDER
from workers.phrases import in_words
from workers.settings import Settings


def wrong_values(kind: inspect.Type) -> Iterator[tuple[list[str | int], object]]:
    """Return, for each constraint of a type, where and with what it is broken."""
    match kind:
        case inspect.UnionType(types):
            yield from (found for inner in types for found in wrong_values(inner))
        case inspect.IntType(ge=least, le=most):
            yield from ((([], wrong)) for wrong in ("two", 1.5, True, 10**30, None))
            yield from (([], bound) for bound in (least and least - 1, most and most + 1) if bound)
            yield [], -1
        case inspect.StrType(min_length=least, max_length=most):
            yield from ([([], 7), ([], "\n"), ([], [])])
            if least:
                yield [], ""
            if most:
                yield [], "x" * (most + 1)
        case inspect.DateTimeType():
            yield from (([], wrong) for wrong in (7, "soon", "2026-11-23T09:00:00"))
        case inspect.ListType(item_type=inner, min_length=least, max_length=most):
            yield [], "none"
            if least:
                yield [], []
            yield from (([0, *place], wrong) for place, wrong in wrong_values(inner))
            if most:
                yield [], [{}] * (most + 1)
        case inspect.StructType():
            yield from wrong_objects(kind)


def wrong_objects(kind: inspect.StructType) -> Iterator[tuple[list[str | int], object]]:
    for wrong in ({"surprise": 1}, {}, "none", 7):
        yield [], wrong
    yield [], []
    for field in kind.fields:
        for place, value in wrong_values(field.type):
            yield [field.encode_name, *place], value


def put_at(value: object, step: str | int) -> object:
    return [value] if step == 0 else {step: value}


def complaints(body: type) -> Iterator[str]:
    for place, wrong in wrong_values(inspect.type_info(body)):
        whole = functools.reduce(put_at, reversed(place), wrong)
        try:
            msgspec.json.decode(msgspec.json.encode(whole), type=body)
        except msgspec.ValidationError as error:
            yield str(error).partition(" - at `")[0]


@pytest.mark.parametrize(
    "body", [wire.BuyBody, wire.EventBody, wire.ItemBody, wire.TicketTypeBody, wire.MoneyBody]
)
def test_no_rule_of_a_request_is_told_in_types(body: type) -> None:
    found = set(complaints(body))
    assert len(found) > 5
    for reason in found:
        words = in_words(wire._IN_WORDS.get(reason, reason))
        assert "`" not in words, reason
        assert "Expected" not in words


@pytest.mark.parametrize("name", Settings.__struct_fields__)
@pytest.mark.parametrize("value", ["zwei", "-1", "1e9", "99999999999"])
def test_no_setting_is_refused_in_types(name: str, value: str) -> None:
    try:
        msgspec.convert({name: value}, Settings, strict=False)
    except msgspec.ValidationError:
        line = told({f"SOLDOUT_{name.upper()}": value})
        assert "`" not in line
        assert "Expected" not in line
        assert "enum" not in line


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WORKERS", "zwei", "must be a whole number"),
        ("WORKERS", "65", "at most 64"),
        ("WAIT_SECONDS", "0", "at least 0.1"),
        ("LOCK", "none", "must be one of process, redis"),
        ("LOG_BUYERS", "perhaps", "must be true or false"),
    ],
)
def test_a_setting_says_what_it_must_be(variable: str, value: str, words: str) -> None:
    assert told({f"SOLDOUT_{variable}": value}) == f"SOLDOUT_{variable}={value!r}: {words}"


def test_too_many_of_something_is_told_with_the_limit() -> None:
    items = [{"ticket_type": f"t{number}", "quantity": 1} for number in range(1_000)]
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"event": "gala", "items": items}, wire.BuyBody)
    reason = str(caught.value).partition(" - at `")[0]
    assert in_words(reason) == f"at most {MAX_ITEMS_PER_ORDER} entries"
