"""`GET /docs`: the document as one page for people, without scripts and without other files."""

from __future__ import annotations

import json
import re
import shlex
from functools import partial
from html import escape as escape_text
from typing import Any

from markupsafe import Markup, escape

from service.plain_page import render_plain
from service.problems import KINDS

Json = dict[str, Any]


def write_page(document: Json) -> str:
    """Return the page of a document. Needs an application, for its templates."""
    operations = [
        {"method": method, "path": path, "curl": between_tags(curl(path, method, told)), **told}
        for path, item in document["paths"].items()
        for method, told in item.items()
    ]
    page = render_plain(
        "docs.html",
        document=document,
        operations=operations,
        kinds=KINDS,
        everywhere=everywhere(operations),
        resolve=partial(resolve, document),
        pretty=pretty,
        prose=prose,
        words=words,
    )
    return re.sub(r"\n +(?=<)", "\n", page)  # the template's indents: a tenth of it


def curl(path: str, method: str, told: Json) -> str:
    """Return a command that does this operation, by the examples of the document."""
    parameters = told.get("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    query = "&".join(f"{p['name']}={p['example']}" for p in parameters if p["in"] == "query")
    words = ["curl", *(["-X", method.upper()] if method != "get" else [])]
    words.append(f'"$SOLDOUT_URL{path}{"?" + query if query else ""}"')
    if "security" in told:
        words += ["-H", '"Authorization: Bearer $SOLDOUT_ADMIN_KEY"']
    for parameter in parameters:
        if parameter["in"] == "header":
            words += ["-H", shlex.quote(f"{parameter['name']}: {parameter['example']}")]
    if "requestBody" in told:
        examples = told["requestBody"]["content"]["application/json"]["examples"]
        body = json.dumps(next(iter(examples.values()))["value"])
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(body)]
    return " ".join(words).replace(" -H ", " \\\n  -H ").replace(" -d ", " \\\n  -d ")


def everywhere(operations: list[Json]) -> set[str]:
    """Return the statuses that any operation may answer, to be told once."""
    return set.intersection(*(set(operation["responses"]) for operation in operations)) - {"200"}


def resolve(document: Json, told: Json) -> Json:
    """Follow a reference within the document, if there is one."""
    found: Any = document
    if "$ref" not in told:
        return told
    for name in told["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def between_tags(text: str) -> Markup:
    """Return text as HTML; between tags quotes stand for themselves."""
    return Markup(escape_text(text, quote=False))  # noqa: S704 - escaped here


def pretty(value: Any) -> Markup:
    """Return an example as people read it."""
    return between_tags(written(value))


def written(value: Any) -> str:
    """Return an example as text; rows of numbers stay rows."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return re.sub(r"\[([\d.,\s]+)\]", lambda row: f"[{' '.join(row[1].split())}]", text)


def prose(text: str) -> Markup:
    """Return text with its `code`, its *stress* and its paragraphs as HTML."""
    html = str(escape(" ".join(text.split(" "))))
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", html)
    html = re.sub(r"\*([^*\s]+)\*", r"<em>\1</em>", html)
    return Markup("</p><p>".join(html.strip().split("\n\n")))  # noqa: S704 - escaped above


def words(schema: Json) -> Markup:
    """Say a schema in words, with links to those that have a name."""
    return Markup(", ").join(_words(schema))


def _words(schema: Json) -> list[Markup]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [Markup('<a href="#{0}">{0}</a>').format(name)]
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return [Markup(" or ").join(words(part) for part in schema[union])]
    if "const" in schema:
        return [Markup("always <code>{}</code>").format(schema["const"])]
    if "enum" in schema:
        values = Markup(", ").join(Markup("<code>{}</code>").format(v) for v in schema["enum"])
        return [Markup("{} {}").format("one of" if len(schema["enum"]) > 1 else "always", values)]
    if schema.get("type") == "array":
        limits = _between(schema.get("minItems"), schema.get("maxItems"))
        return [Markup("list of ") + words(schema["items"]), *limits]
    found = [escape(schema.get("format") or schema.get("type") or "anything")]
    found += _between(schema.get("minimum"), schema.get("maximum"))
    for limit in _between(schema.get("minLength"), schema.get("maxLength")):
        found.append(limit + " characters")
    if "pattern" in schema:
        found.append(Markup("like <code>{}</code>").format(schema["pattern"]))
    return found


def _between(least: int | None, most: int | None) -> list[Markup]:
    match least, most:
        case None, None:
            return []
        case _, None:
            return [escape(f"at least {least:,}")]
        case None, _:
            return [escape(f"at most {most:,}")]
        case _:
            return [escape(f"{least:,} to {most:,}")]
