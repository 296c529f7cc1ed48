"""The chain of seals."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from inventory.domain.seals import GENESIS, seal
from inventory.services import seals
from inventory.services.verification.faults import Fault


def unbroken(session: Session, known_head: str | None) -> Iterator[Fault]:
    """Every seal follows the one before and still fits its movements; a head kept elsewhere stands in the chain."""
    previous, next_id = GENESIS, 1
    seen = known_head is None
    for link in seals.chain():
        digest, count = seal(link.previous, seals.sealed_rows(session, link.first_id, link.last_id))
        name = f"seal {link.id} (movements {link.first_id} to {link.last_id})"
        if link.previous != previous or link.first_id != next_id:
            yield Fault(check="seals", row=name, what="it does not follow the seal before")
        elif count != link.movements or digest != link.digest:
            what = f"{count} movements of {link.movements} are there, or one of them was changed"
            yield Fault(check="seals", row=name, what=what)
        previous, next_id = link.digest, link.last_id + 1
        seen = seen or link.digest == known_head
    if not seen:
        yield Fault(check="seals", row=f"head {known_head}", what="it is not in the chain")
