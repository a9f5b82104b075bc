"""The OpenAPI description as one plain page: no script, nothing from another host, so that any wall lets it through."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

__all__ = ["page_of"]

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "code{background:#f2f2f2;padding:.1em .3em}h2{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}"
    "td{padding:.2rem 1rem .2rem 0;vertical-align:top}"
)


def page_of(described: Mapping[str, Any]) -> str:  # Any: JSON
    """Return HTML of an OpenAPI document."""
    info = described["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>",
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
        '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>',
    ]
    for path, methods in described["paths"].items():
        for method, one in methods.items():
            parts.extend(_route(method, path, one))
    return "\n".join(parts) + "</html>\n"


def _route(method: str, path: str, one: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{escape(method.upper())} {escape(path)}</code> {escape(one.get('summary', ''))}</h2>"
    if "description" in one:
        yield f"<p>{escape(one['description'])}</p>"
    rows = [(f"?{p['name']}", p.get("description", "")) for p in one.get("parameters", ())]
    sent = one.get("requestBody", {}).get("content", {})
    rows += [("body", media) for media in sent]
    for code, response in one.get("responses", {}).items():
        formats = ", ".join(response.get("content", {})) if code == "200" else ""
        about = response.get("description", "")
        rows.append((str(code), f"{about}: {formats}" if formats else about))
    cells = (f"<tr><td><code>{escape(a)}</code><td>{escape(b)}" for a, b in rows)
    yield f"<table>{''.join(cells)}</table>"
