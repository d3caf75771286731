"""Whatever is asked, well-formed or not: what comes back is what the contract has a word for.

Strategies for every body, header and query, from right ones over nearly right ones to noise. A
value is drawn with what the contract says of it: so its status is known, not only that it is no
500.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from service.problems import KINDS
from tests.harness import SEED, Soldout
from tests.in_process import application

EXAMPLES: Final = 250
LONG_EXAMPLES: Final = 2_000
EVENT = "contract"
SCRATCH = "scratch"  # whatever is put is put there

# What each status may say, by the contract's tables.
SLUGS: Final[dict[int, set[str]]] = {}
for _slug, _kind in KINDS.items():
    SLUGS.setdefault(_kind.status, set()).add(_slug)

Drawn = tuple[Any, bool]  # a value, and whether the contract allows it

# --- values ---------------------------------------------------------------------------------------

HUGE = [2**31, 2**53, 2**63, 2**64, 10**400, -(2**63), -1, 0]
texts = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(codec=None), max_size=5),  # surrogates too
    st.sampled_from(["", "\0", "\ud800", "é", "🎫", "x" * 5_000, "null", "1", "'; DROP TABLE--"]),
)
garbage: SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from(HUGE), st.floats(), texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)


def allowed(*values: Any) -> SearchStrategy[Drawn]:
    return st.sampled_from([(value, True) for value in values])


def refused(strategy: SearchStrategy[Any]) -> SearchStrategy[Drawn]:
    return strategy.map(lambda value: (value, False))


def mostly(good: SearchStrategy[Drawn], bad: SearchStrategy[Drawn]) -> SearchStrategy[Drawn]:
    return st.integers(0, 5).flatmap(lambda n: good if n else bad)


def not_of(kind: type | tuple[type, ...]) -> SearchStrategy[Any]:
    return garbage.filter(lambda value: not isinstance(value, kind) or isinstance(value, bool))


quantities = mostly(
    allowed(1, 2, 3),
    refused(st.sampled_from([*HUGE, 1_001, 1.5, "1", True]) | not_of((int, float))),
)
ids = mostly(
    allowed(EVENT), refused(st.sampled_from(["", "UPPER", "a b", "x" * 65, "é"]) | not_of(str))
)
ticket_types = mostly(allowed("general"), refused(st.sampled_from(["", "G", "a/b"]) | not_of(str)))
buyers = mostly(
    allowed("ann@example.com", "é" * 254, None, "🎫"),
    refused(st.sampled_from(["", "\0", "a\nb", "x" * 255]) | not_of((str, type(None)))),
)


@st.composite
def purchases(draw: st.DrawFn) -> tuple[dict[str, Any], bool]:
    """Draw a body of `POST /buy`, and whether it is as the contract says."""
    body: dict[str, Any] = {}
    right = True
    fields: dict[str, SearchStrategy[Drawn]] = {"event": ids, "quantity": quantities}
    more = {"ticket_type": ticket_types, "buyer": buyers}
    fields |= {name: strategy for name, strategy in more.items() if draw(st.booleans())}
    for name, strategy in fields.items():
        body[name], good = draw(strategy)
        right = right and good
    match draw(st.integers(0, 11)):
        case 0:
            del body[draw(st.sampled_from(["event", "quantity"]))]
            right = False
        case 1:
            body[
                draw(
                    texts.filter(
                        lambda name: name not in (*fields, "items", "buyer", "ticket_type")
                    )
                )
            ] = 1
            right = False
        case 2:
            body["items"] = draw(garbage)  # not together with a quantity
            right = False
    return body, right


def encoded(value: Any) -> bytes:
    """Write JSON as Python does: lone surrogates as escapes, NaN as NaN."""
    return json.dumps(value).encode()


malformed = st.one_of(
    st.binary(max_size=40).filter(lambda data: not is_json(data)),
    st.sampled_from(
        [
            *(b"", b"{", b"{]", b"\xff", b'{"event": "\xff"}', b"NaN", b'{"a": 01}', b"[" * 60_000),
            *(b'{"a": 1,}', b"{'a': 1}", b'{"a" 1}', b'"\\ud800', b"\xef\xbb\xbf{}", b"nul"),
        ]
    ),
)


def is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


# --- headers --------------------------------------------------------------------------------------

header_texts = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60)
keys = mostly(
    allowed("{}", '"{}"', '"{}\\"\\\\"'),  # of a key that is new each time
    refused(st.sampled_from(["", "short", '"unclosed-0123456789', "x" * 256, "é" * 20, "a b" * 9])),
)
prefers = st.sampled_from(
    ["respond-async", "wait=1", "wait=0", "wait=99999999999", "wait=-1", "wait=1.5", ";;", "wait="]
) | header_texts.filter(lambda text: "respond" not in text and "wait" not in text)
authorizations = st.sampled_from(
    ["", "Bearer", "Bearer ", "bearer x", "Basic dXNlcjpwYXNz", "Bearer é", "Bearer " + "x" * 999]
) | header_texts.filter(lambda text: not text.lower().startswith("bearer"))

# --- asking ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(soldout: Soldout) -> Iterator[FlaskClient]:
    """One more web process, here, of the service that runs."""
    soldout.put_event(EVENT, capacity=1_000_000)
    with application(soldout) as app, app.test_client() as client:
        yield client


def thorough(examples: int) -> settings:
    return settings(
        max_examples=examples,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def check(answer: Any, *expected: int) -> None:
    """Check the status, and that an error is a problem document of a known kind, whole."""
    assert answer.status_code in expected, (answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json", answer.text
        problem = answer.get_json()
        slug = problem["type"].removeprefix("/problems/")
        assert slug in SLUGS[answer.status_code], problem
        assert {"title", "status", "detail", "instance"} <= problem.keys()
        assert "\n" not in problem["detail"]
        if slug == "invalid-request":
            assert problem["errors"], problem
            assert all({"field", "reason"} == error.keys() for error in problem["errors"])


JSON = {"Content-Type": "application/json"}


def buys_what_is_right_and_refuses_the_rest(client: FlaskClient, examples: int) -> None:
    heard: dict[int, int] = {}

    @thorough(examples)
    @seed(SEED)
    @given(purchases(), keys, st.none() | prefers)
    def buy(wish: tuple[Any, bool], key: Drawn, prefer: str | None) -> None:
        body, right = wish
        headers = {**JSON, "Idempotency-Key": key[0].format(uuid.uuid4())}
        if prefer is not None:
            headers["Prefer"] = prefer
        answer = client.post("/buy", data=encoded(body), headers=headers)
        heard[answer.status_code] = heard.get(answer.status_code, 0) + 1
        if not key[1]:
            check(answer, 400)
        elif right:
            waits = prefer is not None and ("async" in prefer or prefer == "wait=0")
            check(answer, *((201, 202) if waits else (201,)))
        else:  # NaN and its like, and lone surrogates, are no JSON
            check(answer, *((400, 422) if not_quite_json(body) else (422,)))

    buy()
    assert {201, 202, 400, 422} <= heard.keys(), heard


def not_quite_json(body: Any) -> bool:
    text = json.dumps(body)
    return "NaN" in text or "Infinity" in text or "\\ud" in text


def test_every_purchase_is_sold_or_refused_as_the_contract_says(client: FlaskClient) -> None:
    buys_what_is_right_and_refuses_the_rest(client, EXAMPLES)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_very_many_purchases_are_sold_or_refused_as_the_contract_says(client: FlaskClient) -> None:
    buys_what_is_right_and_refuses_the_rest(client, LONG_EXAMPLES)


def test_what_is_no_json_is_told_so(client: FlaskClient, admin: dict[str, str]) -> None:
    @thorough(EXAMPLES)
    @seed(SEED)
    @given(malformed, st.sampled_from(["/buy", "/events/" + SCRATCH]))
    def send(body: bytes, path: str) -> None:
        ask = client.post if path == "/buy" else client.put
        answer = ask(path, data=body, headers=admin)
        check(answer, 400)

    send()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"event": "contract", "quantity": 1, "quantity": 2}', {201, 422}),
        (b'{"event": "nowhere", "event": "contract", "quantity": 1}', {201, 422}),
        (b'{"event": "contract", "quantity": 1e0}', {201, 422}),
        (b'{"event": "contract", "quantity": -0}', {422}),
        (b'{"event": "contract", "quantity": 1' + b"0" * 4_000 + b"}", {400, 422}),
        (b'{"event": "contract", "quantity": ' + b"[" * 900 + b"]" * 900 + b"}", {422}),
        (b'{"event": "contract", "quantity": 1, "buyer": "\\ud83c\\udfab"}', {201}),
        (b'{"event": "contract", "quantity": 1, "buyer": "\\ud83c"}', {400, 422}),
        (b'{"event": "contract", "quantity": 1, "\\u0065vent": "nowhere"}', {404, 422}),
        (b'"contract"', {422}),
        (b"[]", {422}),
        (b"null", {422}),
        (b' {"event" : "contract" , "quantity" : 1 } \n', {201}),
    ],
)
def test_odd_json_has_one_meaning_or_none(
    client: FlaskClient, body: bytes, status: set[int]
) -> None:
    check(client.post("/buy", data=body, headers=JSON), *status)


# --- the administration ---------------------------------------------------------------------------

names = mostly(
    allowed("The gala", "é" * 200, None), refused(st.sampled_from(["", "\n", "x" * 201]))
)
capacities = mostly(
    allowed(0, 1, 100_000_000), refused(st.sampled_from([-1, 10**9, 1.5, "1", None]))
)
moments = mostly(
    allowed("2026-11-26T00:00:00Z", "2099-01-01T00:00:00.123456789+14:00", None),
    refused(
        st.sampled_from(["now", "2026-11-26", "2026-13-01T00:00:00Z", "2026-11-26T00:00:00", 0, []])
    ),
)
limits = mostly(allowed(1, 1_000, None), refused(st.sampled_from([0, -1, 2**63, 1.5, "1"])))
prices = mostly(
    allowed({"amount": 0, "currency": "EUR"}, {"amount": 10**12, "currency": "EUR"}, None),
    refused(
        st.sampled_from(
            [
                *({"amount": -1, "currency": "EUR"}, {"amount": 1, "currency": "eur"}, {}),
                *({"amount": 10**13, "currency": "EUR"}, 5, {"amount": 1.5, "currency": "EUR"}),
            ]
        )
    ),
)


@st.composite
def events(draw: st.DrawFn) -> tuple[dict[str, Any], bool]:
    """Draw a body of `PUT /events/{id}`, and whether it is as the contract says."""
    right = True
    body: dict[str, Any] = {}
    fields = {"name": names, "opens_at": moments, "max_per_order": limits, "max_per_buyer": limits}
    for name, strategy in fields.items():
        if draw(st.booleans()):
            body[name], good = draw(strategy)
            right = right and good
    if draw(st.booleans()):
        body["capacity"], good = draw(capacities)
        return body, right and good
    body["ticket_types"] = []
    for number in range(draw(st.integers(0, 3))):
        kind = {"id": f"type-{number}"}
        for name, strategy in {"capacity": capacities, "price": prices}.items():
            kind[name], good = draw(strategy)
            right = right and good
        body["ticket_types"].append(kind)
    return body, right and bool(body["ticket_types"])


@pytest.fixture(scope="module")
def admin(soldout: Soldout, client: FlaskClient) -> dict[str, str]:
    return {**JSON, "Authorization": f"Bearer {soldout.admin_key}"}


def test_every_event_is_stored_or_refused_as_the_contract_says(
    client: FlaskClient, admin: dict[str, str]
) -> None:
    heard: dict[int, int] = {}

    @thorough(EXAMPLES)
    @seed(SEED)
    @given(events())
    def put(wish: tuple[Any, bool]) -> None:
        body, right = wish
        answer = client.put(f"/events/{SCRATCH}", data=encoded(body), headers=admin)
        heard[answer.status_code] = heard.get(answer.status_code, 0) + 1
        check(answer, *((200, 201) if right else (422,)))

    put()
    assert {200, 422} <= heard.keys(), heard


PATHS: Final = (
    *("/events/{}", "/events/{}/orders", "/events/{}/audit", "/orders/{}", "/remaining/{}"),
    *("/orders?key={}", "/events/contract/orders?after={}", "/events/contract/orders?limit={}"),
)
POSTS: Final = ("/events/{}/pause", "/events/{}/resume", "/events/{}/close", "/orders/{}/cancel")


def test_whatever_is_looked_for_is_found_or_is_not(
    client: FlaskClient, admin: dict[str, str]
) -> None:
    @thorough(EXAMPLES)
    @seed(SEED)
    @given(
        st.sampled_from([*PATHS, *POSTS]), texts, st.sampled_from(["", "text/csv", "*/*", ";q="])
    )
    def ask(path: str, text: str, accept: str) -> None:
        raw = path.format(text.encode("utf-8", "surrogatepass").decode("latin-1"))
        place, _, query = raw.partition("?")
        answer = client.open(
            "/",
            method="POST" if path in POSTS else "GET",
            headers=admin | {"Accept": accept},
            environ_overrides={"PATH_INFO": place, "QUERY_STRING": query},
        )
        check(answer, 200, 308, 400, 404, 405, 422)

    ask()


def test_without_a_right_key_the_administration_does_nothing(client: FlaskClient) -> None:
    @thorough(EXAMPLES)
    @seed(SEED)
    @given(st.none() | authorizations, st.sampled_from(["orders", "audit", "pause", "close", ""]))
    def ask(authorization: str | None, what: str) -> None:
        headers = JSON if authorization is None else JSON | {"Authorization": authorization}
        path = f"/events/{EVENT}/{what}".rstrip("/")
        ask = {"": client.put, "pause": client.post, "close": client.post}.get(what, client.get)
        check(
            ask(path, data=b'{"capacity": 1}' if ask == client.put else b"", headers=headers),
            401,
            403,
        )

    ask()
    assert client.get(f"/events/{EVENT}").get_json()["status"] == "on_sale"


def test_what_is_drawn_is_right_about_half_the_time() -> None:
    """Neither all right nor all wrong: both sides of the table are asked."""
    seen: list[bool] = []

    @thorough(100)
    @seed(SEED)
    @given(purchases())
    def draw(wish: tuple[Any, bool]) -> None:
        seen.append(wish[1])

    draw()
    assert 10 < sum(seen) < len(seen) - 10
