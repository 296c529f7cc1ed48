"""Runs of schemathesis over the whole specification: what it asked, and what was wrong with the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import schemathesis
from flask import Flask
from schemathesis.engine import events, from_schema
from schemathesis.transport.wsgi import WSGITransport

from tests.api.client import ROOT, Caller

# A rule about stock says no to what has the right form: nothing to be held against the specification.
REFUSALS = ["2xx", "304", "401", "403", "404", "409", "412", "422", "428"]

ONLY_OF_NETWORKS = ("max_redirects", "verify", "cert", "proxies")


@dataclass
class Run:
    """`cases`: how many requests of each phase; `failures`: what went wrong, each kind once with a way to repeat it."""

    cases: Counter[str] = field(default_factory=Counter[str])
    operations: set[str] = field(default_factory=set[str])
    statuses: Counter[int] = field(default_factory=Counter[int])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def total(self) -> int:
        return self.cases.total()


def headers_of(caller: Caller) -> dict[str, str]:
    """What each request says: a machine's token; not compressed, which the run does not undo."""
    return {**caller.headers, "Accept-Encoding": "identity"}


def with_session_of(app: Flask, caller: Caller) -> Any:
    """The application as a person's browser asks it: the test client of a run keeps no cookies but its own."""
    cookie = caller.client.get_cookie("blangko")
    if cookie is None:
        return app

    def asked(environ: dict[str, Any], start_response: Any) -> Any:
        environ |= {"HTTP_COOKIE": f"blangko={cookie.value}", "HTTP_X_CSRFTOKEN": caller.csrf}
        return app(environ, start_response)

    return asked


def run(app: Flask, caller: Caller, examples: int, *, stateful: int, boundaries: bool) -> Run:
    """Ask every operation as `caller`: the examples of the specification, `examples` of each operation at random
    (right and wrong ones), `stateful` chains along its links, and with `boundaries` some dozens at the limits of every
    field."""
    config = {
        "headers": headers_of(caller),
        "generation": {
            "max-examples": examples,
            "mode": "all",
            "no-shrink": True,
            "database": "none",
            "with-security-parameters": False,
        },
        "seed": 5171,
        "continue-on-failure": True,
        "workers": 1,
        "phases": {
            "coverage": {"enabled": boundaries},
            "stateful": {"generation": {"max-examples": stateful}},
        },
        "checks": {
            "positive_data_acceptance": {"expected-statuses": REFUSALS},
            "negative_data_rejection": {"expected-statuses": ["4xx"]},
            "missing_required_header": {"expected-statuses": ["400", "401", "403", "404", "415", "422", "428"]},
            # Asked with a session, its cookie is what the run itself puts there.
            "ignored_auth": {"enabled": "Authorization" in caller.headers},
            "use_after_free": {"enabled": False},
            "ensure_resource_availability": {"enabled": False},
        },
    }
    loaded: Any = schemathesis.Config.from_dict(config)
    schema = schemathesis.openapi.from_wsgi(f"{ROOT}/openapi.json", with_session_of(app, caller), config=loaded)
    found = Run()
    with patch.object(WSGITransport, "send", _send_here(WSGITransport.send)):
        for event in from_schema(schema).execute():
            _take(found, event)
    return found


def _send_here(send: Callable[..., Any]) -> Callable[..., Any]:
    """Without what only a network's client takes: the check of ignored authentication passes it on all the same."""

    def sent(self: Any, case: Any, **kwargs: Any) -> Any:
        return send(self, case, **{name: each for name, each in kwargs.items() if name not in ONLY_OF_NETWORKS})

    return sent


def _take(found: Run, event: Any) -> None:
    if isinstance(event, events.NonFatalError | events.FatalError):
        error = getattr(event, "value", None) or getattr(event, "exception", None)
        found.failures[f"error: {type(error).__name__} {getattr(event, 'label', '')}"] = str(error)[:2000]
    if not isinstance(event, events.ScenarioFinished):
        return
    for case_id, interaction in event.recorder.interactions.items():
        case = event.recorder.cases[case_id].value
        found.cases[event.phase.value] += 1
        found.operations.add(case.operation.label)
        if interaction.response is not None:
            found.statuses[interaction.response.status_code] += 1
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            failure = check.failure_info.failure
            case = event.recorder.cases[case_id].value
            what = f"{case.operation.label}: {check.name}: {failure.title}"
            found.failures.setdefault(what, f"{failure.message[:600]}\n{check.failure_info.code_sample[:600]}")
