"""The dead-man ping: a sign of life to somebody outside, who raises the alarm when it fails to come."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import quote
from urllib.request import HTTPErrorProcessor, Request, build_opener

TIMEOUT_SECONDS = 10.0
"""For the whole ping: also for a receiver that answers a letter at a time."""


class PingFailed(Exception):
    """Nobody confirmed the ping; the message says why."""


class _AsItIs(HTTPErrorProcessor):
    """Every answer as it came: no redirect is followed, as it could lead anywhere."""

    def http_response(self, request: Request, response: Any) -> Any:
        return response

    https_response = http_response


def ping(address: str, job: str, timeout: float = TIMEOUT_SECONDS) -> None:
    """GET `address` (http or https) with `{job}` in it replaced by the job's name, dashes for blanks.

    Raises PingFailed unless it is answered with a 2xx within `timeout` seconds.
    """
    if not address.startswith(("http://", "https://")):
        raise PingFailed("only http and https are fetched")
    url = address.replace("{job}", quote(job.replace(" ", "-"), safe=""))
    outcome: list[int | Exception] = []

    def ask() -> None:
        try:
            opener = build_opener(_AsItIs)
            with opener.open(Request(url, headers={"User-Agent": "blangko"}), timeout=timeout) as answer:  # noqa: S310
                outcome.append(answer.status)
        except Exception as error:
            outcome.append(error)

    # A socket's timeout begins anew with every byte; only a thread of its own can be left behind.
    asking = threading.Thread(target=ask, name=f"ping {job}", daemon=True)
    asking.start()
    asking.join(timeout)
    result = outcome[0] if outcome else TimeoutError(f"no answer within {timeout:g} s")
    if isinstance(result, Exception):
        raise PingFailed(f"{type(result).__name__}: {result}") from result
    if not 200 <= result < 300:
        raise PingFailed(f"answered {result}")
