"""What is sent to a PostgreSQL server, as its own library writes it down: how often somebody waits for an answer."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from inventory.db import db

_ENDS = re.compile(rb"^[^\t\n]+\tF\t[0-9]+\t(?:Sync|Query)\b", re.MULTILINE)
"""What a client sends last before it waits."""


def round_trips(work: Callable[[], Any]) -> int:
    """How many round trips `work` takes. Call inside an application context; only what the pool hands out counts."""
    db.session.remove()
    traced: dict[int, Any] = {}
    with tempfile.TemporaryFile() as file:

        def trace(connection: Any, *_: Any) -> None:
            if id(connection) not in traced:
                traced[id(connection)] = connection
                connection.pgconn.trace(file.fileno())

        event.listen(db.engine, "checkout", trace)
        try:
            work()
        finally:
            event.remove(db.engine, "checkout", trace)
            for connection in traced.values():
                if not connection.closed:
                    connection.pgconn.untrace()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        assert traced, "nothing was sent"
        return len(_ENDS.findall(file.read()))
