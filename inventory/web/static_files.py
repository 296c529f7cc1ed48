"""Static files and the weight of what goes out.

The address of a static file names its content (`?v=` and a digest), so a browser keeps it for a year without asking,
and a new version has a new address. Pages and static files travel compressed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request
from flask_compress import Compress

KEPT_FOR_A_YEAR = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    app.config.from_mapping(COMPRESS_ALGORITHM=["br", "gzip"], COMPRESS_ALGORITHM_STREAMING=["br", "gzip"])
    app.extensions["static_digests"] = {}
    Compress(app)
    app.url_defaults(_name_the_content)
    app.after_request(_keep)


def digest(name: str) -> str:
    """Twelve hexadecimal digits that change with the content of a static file; empty when there is no such file."""
    assert current_app.static_folder is not None
    path = Path(current_app.static_folder) / name
    try:
        state = path.stat()
    except OSError:
        return ""
    known: dict[Any, str] = current_app.extensions["static_digests"]
    key = (name, state.st_mtime_ns, state.st_size)
    if key not in known:
        known[key] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return known[key]


def _name_the_content(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and "v" not in values and (version := digest(values["filename"])):
        values["v"] = version


def _keep(response: Response) -> Response:
    """For a year, but only what was asked for by the digest that it has."""
    if request.endpoint == "static" and response.status_code in (200, 304) and request.view_args:
        if request.args.get("v", "") == digest(request.view_args["filename"]):
            response.headers["Cache-Control"] = KEPT_FOR_A_YEAR
        _read(response)
    return response


def _read(response: Response) -> None:
    """Into memory, closing the file: what compresses would leave it open."""
    response.direct_passthrough = False
    file: Any = response.response
    response.make_sequence()
    if hasattr(file, "close"):
        file.close()
