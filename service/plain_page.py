"""Pages for people that only tell: a template, one style, and a policy that lets in no more."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flask import render_template
from markupsafe import Markup

from service.answers import SECURITY, Answer, answer

STYLE: Final = Path(__file__).with_name("templates").joinpath("plain.css").read_text()
_DIGEST: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECURITY: Final = [*dict(SECURITY, **{"Content-Security-Policy": _POLICY}).items()]


def render_plain(template: str, **values: Any) -> str:
    """Return the page of a template, which says where its `style` goes. Needs an application."""
    return render_template(template, style=Markup(STYLE), **values)  # noqa: S704 - our own file


def plain_page(html: str) -> Answer:
    """Return a page that `render_plain` made."""
    return answer(html.encode(), media_type="text/html; charset=utf-8", security=_SECURITY)
