"""Items: what an office keeps in stock. They are data, so an installation can add its own."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, exists, select, update
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, let_writers_through, write
from inventory.domain.errors import NotFound, Refusal
from inventory.models import Balance, Item


@dataclass(frozen=True, kw_only=True)
class ItemView:
    """An item as the edges see it. `names` and `units` are by language ("id", "en")."""

    id: int
    code: str
    names: dict[str, str]
    units: dict[str, str]
    pack_size: int
    prints_per_unit: int | None
    numbered: bool = False
    """Every movement of it says which serial numbers it moves."""

    @property
    def is_blank(self) -> bool:
        return self.prints_per_unit is None


# Codes are the field's own short names. Allotments of blanks come in multiples of 500; a ribbon prints about 500
# cards and a film about 1,500.
STANDARD = (
    ("ktp-wni", "Blangko KTP-el WNI", "Citizen card blank", "blank", "keping", "cards", 500, None),
    ("ktp-wna", "Blangko KTP-el WNA", "Foreign resident card blank", "blank", "keping", "cards", 500, None),
    ("kia", "Blangko KIA", "Child card blank", "blank", "keping", "cards", 500, None),
    ("ribbon", "Ribbon", "Ribbon", "consumable", "rol", "rolls", 1, 500),
    ("film", "Film", "Film", "consumable", "rol", "rolls", 1, 1500),
)


def ensure_standard() -> None:
    """Add the standard items that are not there yet; those that are stay as they were changed."""

    def put(session: Session) -> None:
        columns = ("code", "name_id", "name_en", "kind", "unit_id", "unit_en", "pack_size", "prints_per_unit")
        rows = [
            dict(zip(columns, values, strict=True)) | {"position": position, "active": True}
            for position, values in enumerate(STANDARD)
        ]
        statement = insert_or(session, Item.__table__).on_conflict_do_nothing(index_elements=["code"])
        session.execute(statement, rows)

    write(put)


_WITH_CODE = select(Item).where(Item.code == bindparam("code"), Item.active)
_ACTIVE = select(Item).where(Item.active).order_by(Item.position)


def active(*conditions: ColumnElement[bool]) -> list[ItemView]:
    """The items in use, in the order in which pages show them; those that meet conditions of the services'."""
    rows = db.session.scalars(_ACTIVE.where(*conditions) if conditions else _ACTIVE)
    return [_view(row) for row in rows]


def get(code: str) -> ItemView:
    """Raises NotFound `item_not_found`."""
    row = None if "\x00" in code else db.session.scalar(_WITH_CODE, {"code": code})
    if row is None:
        raise NotFound("item_not_found", code=code[:40])
    return _view(row)


def keep_numbers(code: str) -> ItemView:
    """From now on every movement of the item says which serial numbers it moves.

    Only before its first movement anywhere: blanks already in the books have no numbers there. Raises NotFound
    `item_not_found`, Refusal `item_in_use`.
    """
    item = get(code)

    def choose(session: Session) -> None:
        let_writers_through(session)  # the next posting finds the choice made
        in_use = exists().where(Balance.item_id == item.id, Balance.last_seq > 0)
        chosen = update(Item).where(Item.id == item.id, ~in_use).values(numbered=True).returning(Item.id)
        if session.execute(chosen).one_or_none() is None:
            raise Refusal("item_in_use", item=item.code)

    write(choose)
    return get(code)


def _view(row: Item) -> ItemView:
    return ItemView(
        id=row.id,
        code=row.code,
        names={"id": row.name_id, "en": row.name_en},
        units={"id": row.unit_id, "en": row.unit_en},
        pack_size=row.pack_size,
        prints_per_unit=row.prints_per_unit,
        numbered=row.numbered,
    )
