"""Refusals: how a rule says no.

A rule never answers False or None for "no": it raises a Refusal with a code and the facts. The edges turn the code
into a sentence in the reader's language (`inventory.text`) and into a status.
"""

from __future__ import annotations


class Refusal(Exception):
    """A rule said no. `code` names the rule, `facts` are the values that a reader needs to act on it."""

    status = 409

    def __init__(self, code: str, /, **facts: object) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.code} ({facts})" if facts else self.code


class Invalid(Refusal):
    """What was entered cannot be right, whatever the stock is."""

    status = 422


class NotAllowed(Refusal):
    """The actor may not do this here."""

    status = 403


class NotFound(Refusal):
    """There is no such thing, or none that the actor may see."""

    status = 404


class Elsewhere(Refusal):
    """Another service, that this needs, does not answer as it should."""

    status = 502


class TooMany(Refusal):
    """It was tried too often; `seconds` of the facts is how long to wait."""

    status = 429
