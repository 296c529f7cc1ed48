"""Tables and constraints: a second statement of the domain's rules. Importing this registers them all."""

from inventory.models.alerts import Alert, AlertEvent, JobRun, StatedRate, StoredProjection
from inventory.models.documents import Document, DocumentCounter
from inventory.models.ledger import Balance, DailyTotal, Delivery, Movement
from inventory.models.offices import CalendarDay, Item, Office
from inventory.models.people import Membership, Person
from inventory.models.seals import Seal
from inventory.models.transfers import Transfer, TransferLine

__all__ = [
    "Alert",
    "AlertEvent",
    "Balance",
    "CalendarDay",
    "DailyTotal",
    "Delivery",
    "Document",
    "DocumentCounter",
    "Item",
    "JobRun",
    "Membership",
    "Movement",
    "Office",
    "Person",
    "Seal",
    "StatedRate",
    "StoredProjection",
    "Transfer",
    "TransferLine",
]
