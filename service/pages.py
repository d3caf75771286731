"""For people: `GET /`, the live page, and `GET /admin`, the box office, with their files.

The live page is whole without its script: what is on sale, and how much is left. The script
(`static/page.js`) keeps it up to date, and buys. The box office is an empty house, the same for
everybody; its script (`static/office.js`) fills it for who has the key.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from flask import Blueprint, render_template

from service.answers import NOT_STORED, Answer, answer, moved, packable
from service.problems import Problem
from service.views import Stock, to_rfc3339, view_stock
from workers.domain import MAX_TICKETS_PER_ORDER, NO_CURRENCY, Event
from workers.hearts import wall_ms
from workers.ledgers import LedgerReader

Recent = Callable[[str, Callable[[], bytes]], bytes]

STATIC: Final = Path(__file__).parent / "static"
MEDIA: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_SECURITY: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]
NOT_KEPT: Final = ("Cache-Control", "no-cache")
FOR_A_DAY: Final = ("Cache-Control", "public, max-age=86400")
FOR_EVER: Final = ("Cache-Control", "public, max-age=31536000, immutable")  # the address has a mark
WORDS: Final = {
    "scheduled": "Not open yet",
    "on_sale": "On sale",
    "all_held": "All held",
    "sold_out": "Sold out",
    "paused": "Paused",
    "closed": "Closed",
}

SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£"}
NO_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"  # ISO 4217
THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"


class Price(NamedTuple):
    """How an amount in minor units is written for people, here and by the script."""

    symbol: str
    decimals: int

    def write(self, amount: int) -> str:
        """Return an amount as people read it."""
        if not amount:
            return "Free"
        whole, part = divmod(amount, 10**self.decimals)
        return f"{self.symbol}{whole:,}" + (f".{part:0{self.decimals}}" if self.decimals else "")


class Kind(NamedTuple):
    """A ticket type, as the page shows it."""

    stock: Stock
    price: str
    amount: int


class Sale(NamedTuple):
    """An event, as the page shows it."""

    id: str
    name: str
    status: str
    capacity: int
    sold: int
    held: int
    remaining: int
    opens_at: str | None
    closes_at: str | None
    max_per_order: int
    max_per_buyer: int | None
    terms: str
    price: Price
    kinds: list[Kind]


def view_sale(event: Event, now_ms: int) -> Sale:
    """Return an event as the page shows it."""
    stock = view_stock(event, now_ms)
    currency = event.ticket_types[0].currency if event.ticket_types else NO_CURRENCY
    price = Price(SYMBOLS.get(currency, f"{currency} "), _decimals(currency))
    return Sale(
        id=event.id,
        name=event.name,
        status=stock.status,
        capacity=stock.capacity,
        sold=stock.sold,
        held=stock.held,
        remaining=stock.remaining,
        opens_at=None if event.opens_at_ms is None else to_rfc3339(event.opens_at_ms),
        closes_at=None if event.closes_at_ms is None else to_rfc3339(event.closes_at_ms),
        max_per_order=event.max_per_order or MAX_TICKETS_PER_ORDER,
        max_per_buyer=event.max_per_buyer,
        terms=stock.terms,
        price=price,
        kinds=[
            Kind(shown, price.write(kind.amount), kind.amount)
            for shown, kind in zip(stock.ticket_types, event.ticket_types, strict=True)
        ],
    )


def _decimals(currency: str) -> int:
    if currency in NO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2


def share(count: int, capacity: int) -> str:
    """Return what part of the stock that is, in percent."""
    return f"{100 * count / capacity:.2f}" if capacity else "0"


def read_assets() -> dict[str, bytes]:
    """Return the files that the page needs, by their names."""
    return {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}


def _answer(
    read: Callable[[], bytes], read_packed: Callable[[], bytes], kind: str, kept: tuple[str, str]
) -> Answer:
    return packable(read, read_packed, kept, media_type=MEDIA[kind], security=PAGE_SECURITY)


def blueprint(reader: LedgerReader, recent: Recent) -> Blueprint:
    """Return the routes of people; `recent` keeps a crowd's page for a moment."""
    routes = Blueprint("pages", __name__)
    assets = read_assets()
    packed = {name: gzip.compress(body) for name, body in assets.items()}
    mark = blake2b(b"".join(assets.values()), digest_size=6).hexdigest()

    def render() -> bytes:
        now = wall_ms()
        sales = [view_sale(event, now) for event in reader.events()]
        return render_template(
            "live.html",
            sales=[sale for sale in sales if sale.status != "closed"],
            over=[sale for sale in sales if sale.status == "closed"],
            now_ms=now,
            static=f"/static/{mark}",
            words=WORDS,
            share=share,
        ).encode()

    @routes.get("/")
    def index() -> Answer:
        return _answer(
            lambda: recent("/", render),
            lambda: recent("/ packed", lambda: gzip.compress(render(), 5)),
            ".html",
            NOT_STORED,  # a copy that a browser kept brings back a clock that stood still
        )

    @cache
    def render_office() -> bytes:
        return render_template("office.html", static=f"/static/{mark}", words=WORDS).encode()

    @routes.get("/admin")
    def office() -> Answer:
        return _answer(render_office, lambda: gzip.compress(render_office()), ".html", NOT_KEPT)

    @routes.get("/admin/")
    def office_too() -> Answer:
        return moved("/admin")

    @routes.get("/static/<wanted_mark>/<name>")
    def static(wanted_mark: str, name: str) -> Answer:
        if name not in assets:
            raise Problem("not-found", "There is no such file.")
        # During an upgrade a page may ask another process for a file of another version.
        kept = FOR_EVER if wanted_mark == mark else NOT_KEPT
        return _answer(lambda: assets[name], lambda: packed[name], Path(name).suffix, kept)

    @routes.get("/favicon.ico")
    def icon() -> Answer:
        return answer(assets["icon.svg"], 200, FOR_A_DAY, media_type=MEDIA[".svg"])

    return routes
