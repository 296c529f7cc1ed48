"""Tables and constraints: a second statement of the domain's rules. Importing this registers them all."""

from inventory.models.alerts import (
    Alert,
    AlertEvent,
    CaseAct,
    JobRun,
    StatedRate,
    StockCheck,
    StoredProjection,
    SubtreeTrend,
)
from inventory.models.allotments import AllotmentLine, AllotmentPlan
from inventory.models.audit import AuditEntry
from inventory.models.backtests import BacktestRun, BacktestScore
from inventory.models.boards import Board, BoardItem
from inventory.models.caps import DayCap
from inventory.models.chores import ChoreRound
from inventory.models.clearing import ClearingRate, DigitalShare
from inventory.models.closings import ClosingException, DayClosing
from inventory.models.coverage import EquipmentReport, FigureEntry, ReportedFigure
from inventory.models.documents import Document, DocumentCounter
from inventory.models.events import Event, EventItem
from inventory.models.factors import AuthenticatorApp, FactorTry, Passkey, RecoveryCode, SpentChallenge
from inventory.models.heartbeats import Heartbeat
from inventory.models.imports import Import, ImportedDay
from inventory.models.ledger import Balance, DailyTotal, Delivery, Movement
from inventory.models.log_ins import KnownDevice, LogInTries, SignOnIdentity, TriedFrom
from inventory.models.notices import Escalation, Message, MessageChange, NoticeChannel, NoticeToFanOut
from inventory.models.offices import CalendarDay, Item, Office
from inventory.models.outreach import OutreachPlan, OutreachPlanLine, PlanStep
from inventory.models.people import Membership, Person
from inventory.models.proposals import Destruction, DestructionLine, Proposal
from inventory.models.ranges import MovementRange, NumberRange
from inventory.models.requests import DeliveryRequest, DeliveryRequestLine, DeliveryRequestStep
from inventory.models.seals import Seal
from inventory.models.service_accounts import ApiRequest, ApiToken, ServiceAccount
from inventory.models.sessions import LoginSession
from inventory.models.stocktakes import Stocktake, StocktakeLine
from inventory.models.transfers import Transfer, TransferLine

__all__ = [
    "Alert",
    "AlertEvent",
    "AllotmentLine",
    "AllotmentPlan",
    "ApiRequest",
    "ApiToken",
    "AuditEntry",
    "AuthenticatorApp",
    "BacktestRun",
    "BacktestScore",
    "Balance",
    "Board",
    "BoardItem",
    "CalendarDay",
    "CaseAct",
    "ChoreRound",
    "ClearingRate",
    "ClosingException",
    "DailyTotal",
    "DayCap",
    "DayClosing",
    "Delivery",
    "DeliveryRequest",
    "DeliveryRequestLine",
    "DeliveryRequestStep",
    "Destruction",
    "DestructionLine",
    "DigitalShare",
    "Document",
    "DocumentCounter",
    "EquipmentReport",
    "Escalation",
    "Event",
    "EventItem",
    "FactorTry",
    "FigureEntry",
    "Heartbeat",
    "Import",
    "ImportedDay",
    "Item",
    "JobRun",
    "KnownDevice",
    "LogInTries",
    "LoginSession",
    "Membership",
    "Message",
    "MessageChange",
    "Movement",
    "MovementRange",
    "NoticeChannel",
    "NoticeToFanOut",
    "NumberRange",
    "Office",
    "OutreachPlan",
    "OutreachPlanLine",
    "Passkey",
    "Person",
    "PlanStep",
    "Proposal",
    "RecoveryCode",
    "ReportedFigure",
    "Seal",
    "ServiceAccount",
    "SignOnIdentity",
    "SpentChallenge",
    "StatedRate",
    "StockCheck",
    "Stocktake",
    "StocktakeLine",
    "StoredProjection",
    "SubtreeTrend",
    "Transfer",
    "TransferLine",
    "TriedFrom",
]
