"""Splitting a delivery, and lending between offices, so that all run out as late and as equally as can be.

What is best, in this order:
1. The smallest cover is as large as can be: no office runs out earlier than it has to. Cover is the time, in calendar
   days and fractions of a day, until expected demand uses up an office's usable stock; so offices with other working
   weeks are compared by the day on which they run out, not by how many days they work until then. Below zero it says
   for how many days requests have waited already.
2. Among all ways with that smallest cover, the sum of expected unmet requests, E[max(0, D - stock)] over one and the
   same stretch of days for all, is as small as can be.
Quantities are whole packs. Limits hold before anything else: what an office is given at least and at most, what a
sender has to keep.

Why handing out pack by pack finds the best:
1. Give each pack to the office with the smallest cover, and stop when there is no room in it. Say that leaves x packs
   and the smallest cover T, at office j. Each pack of x beyond the least was given to an office when its cover was
   smallest, hence at most T; an allotment with a larger smallest cover gives every office its x, or else that office
   stays at T or below, and j one more, and that is more than there is. Where j has no room, nobody can lift it.
2. Take back what is not needed for T; the rest is the least that each office has to be given. Expected unmet requests
   are convex in the stock (each further blank meets a request less often than the last), so a pack's gain falls from
   pack to pack, and the sum is least when every pack goes where its gain is largest (Fox, Operations Research 14,
   1966). Gains are compared to a millionth of a request; among equals the office that runs out first goes first.
Loans are the same: what the senders can spare is a pool, handed out again to all, in which a pack that comes home
costs nothing and one that travels costs `trip_cost` requests: without it packs would travel for next to nothing.

I is the number of offices, H the calendar days ahead; all is told of one day, the same for all offices.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inventory.domain.distributions import expected_excess
from inventory.domain.errors import Invalid, Refusal

Numbers = NDArray[np.float64]
Kind = TypeVar("Kind", bound="Stock")

MOST_PACKS = 100_000
"""In one plan: more is a pack size that was not thought of."""
SAME_COVER = 1e-9
"""Days."""
SAME_GAIN_PLACES = 6
"""Decimal places of a request."""
GAINS_AT_ONCE = 32
TRIP_COST = 1.0
"""Requests that a pack has to save to be worth its way."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Stock:
    """An office's stock and what is going to be asked of it.

    usable: blanks, store less waiting requests plus what is inbound; may be negative. demand (H,): expected demand
    up to the end of each calendar day ahead, never falling; past it, its mean day stands in. mean, dispersion: of the
    demand over the days for which unmet requests are counted, whose variance is mean + dispersion mean^2.
    least, most: blanks that it is to be given at least, and that it can take at most (None: any number).

    Raises ValueError for a demand that falls or has no days.
    """

    code: str
    usable: int
    demand: Numbers
    mean: float
    dispersion: float
    least: int = 0
    most: int | None = None

    def __post_init__(self) -> None:
        if self.demand.ndim != 1 or self.demand.size < 1:
            raise ValueError("expected demand has one number per calendar day, and at least one")
        if np.any(np.diff(self.demand, prepend=0.0) < 0.0) or not math.isfinite(self.demand[-1]):
            raise ValueError("expected demand up to a day never falls")

    @cached_property
    def _up_to(self) -> list[float]:
        return self.demand.tolist()

    def cover(self, usable: int) -> float:
        """Calendar days until expected demand has used up that many blanks; infinite when nothing is asked for."""
        up_to = self._up_to
        per_day = up_to[-1] / len(up_to)
        if per_day <= 0.0:
            return math.inf if usable >= 0 else -math.inf
        if usable <= 0:
            return usable / per_day
        if usable > up_to[-1]:
            return len(up_to) + (usable - up_to[-1]) / per_day
        day = bisect_left(up_to, usable)
        before = up_to[day - 1] if day else 0.0
        return day + (usable - before) / (up_to[day] - before)

    def unmet(self, usable: int) -> float:
        """Expected unmet requests with that many blanks."""
        return float(expected_excess(usable, self.mean, self.dispersion))


@dataclass(frozen=True, eq=False, kw_only=True)
class Lender(Stock):
    """An office that may lend as well. store: blanks at hand, which alone can be lent. reserve: how many of them stay.
    keep_cover: calendar days of cover that it keeps whatever others lack. most_out: blanks it can send at most.
    near: the codes from the root to the office, by which the nearer of two pairs is told."""

    store: int
    reserve: int = 0
    keep_cover: float = 0.0
    most_out: int | None = None
    near: tuple[str, ...] = ()

    def spare_packs(self, pack: int) -> int:
        """Whole packs that it can lend within its limits."""
        packs = max(0, self.store - self.reserve) // pack
        if self.most_out is not None:
            packs = min(packs, self.most_out // pack)
        wanted = range(packs + 1)
        # Cover falls with every pack: the largest number that keeps enough.
        return max(0, bisect_left(wanted, True, key=lambda n: self.cover(self.usable - n * pack) < self.keep_cover) - 1)


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one office gets (or gives, below zero), and what that does: cover in calendar days, expected unmet
    requests. rule: why just so many, see `_rule`."""

    code: str
    quantity: int
    rule: str
    cover_before: float
    cover_after: float
    unmet_before: float
    unmet_after: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the offices stand together: the smallest cover in calendar days, whose it is, and all expected unmet
    requests."""

    smallest_cover: float
    first_out: str
    unmet: float


@dataclass(frozen=True, kw_only=True)
class Split:
    """shares: by code. left: what nobody was given, blanks: less than a pack, or for want of room."""

    shares: tuple[Share, ...]
    left: int
    before: Outcome
    after: Outcome
    even: Outcome
    """Had each office been given as many packs as the others, whatever it needs."""


@dataclass(frozen=True, kw_only=True)
class Shipment:
    sender: str
    receiver: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Loans:
    shares: tuple[Share, ...]
    shipments: tuple[Shipment, ...]
    before: Outcome
    after: Outcome


def split(stocks: Iterable[Stock], quantity: int, pack: int, reserve: int = 0) -> Split:
    """Share `quantity` less `reserve` among the offices, in whole packs.

    Raises Invalid `pack_range`, `reserve_exceeds_quantity`, `least_exceeds_most` (office), `packs_too_many`,
    `nobody_to_allot`; Refusal `least_exceeds_quantity` (least, quantity).
    """
    offices = _in_order(stocks)
    _check_pack(pack)
    if not 0 <= reserve < quantity:
        raise Invalid("reserve_exceeds_quantity", reserve=reserve, quantity=quantity)
    packs = (quantity - reserve) // pack
    _check_packs(packs)
    low, high = _limits(offices, pack, packs)
    if sum(low) > packs:
        raise Refusal("least_exceeds_quantity", least=sum(low) * pack, quantity=quantity - reserve)
    start = [office.usable + pack * least for office, least in zip(offices, low, strict=True)]
    room = [most - least for least, most in zip(low, high, strict=True)]
    pool = _Pool(offices, start, room, pack)
    given, needed = pool.hand_out(packs - sum(low))
    totals = [least + more for least, more in zip(low, given, strict=True)]
    shares = tuple(
        _share_of(office, total * pack, _rule(office, total, least, most, least + enough, pack, pool.smallest))
        for office, total, least, most, enough in zip(offices, totals, low, high, needed, strict=True)
    )
    return Split(
        shares=shares,
        left=quantity - reserve - sum(totals) * pack,
        before=outcome(offices, {}),
        after=outcome(offices, {share.code: share.quantity for share in shares}),
        even=outcome(offices, even_split(offices, packs, pack)),
    )


def lend(
    lenders: Iterable[Lender],
    pack: int,
    *,
    least_shipment: int = 0,
    most_shipments: int | None = None,
    trip_cost: float = TRIP_COST,
    enough: float = math.inf,
) -> Loans:
    """Move packs from the offices that last longest to those that run out first. Offices that last for `enough`
    calendar days lack nothing, whoever lasts longer.

    Who gives how many and who gets how many is the best there is. Shipments pair them, near before far; each uses up
    what one end gives or lacks, so there is one less than there are ends, at most. Shipments below `least_shipment`
    blanks, and all beyond the first `most_shipments` (by whose need is most pressing), are left out of the plan: it
    stays within all limits and no office runs out earlier than the first did, but it need not be the best any more.
    Raises Invalid `pack_range`, `packs_too_many`, `nobody_to_allot`.
    """
    offices = _in_order(lenders)
    _check_pack(pack)
    spare = [office.spare_packs(pack) for office in offices]
    pool_packs = sum(spare)
    _check_packs(pool_packs)
    start = [office.usable - pack * packs for office, packs in zip(offices, spare, strict=True)]
    most = [pool_packs if office.most is None else office.most // pack for office in offices]
    room = [packs + more for packs, more in zip(spare, most, strict=True)]
    pool = _Pool(offices, start, room, pack, home=spare, trip_cost=trip_cost, enough=enough)
    given, _needed = pool.hand_out(pool_packs)
    moved = {office.code: g - s for office, g, s in zip(offices, given, spare, strict=True)}
    shipments = _worthwhile(pair(offices, moved, pack), offices, least_shipment, most_shipments)
    net = _net(shipments)
    shares = tuple(
        _share_of(office, net.get(office.code, 0), _loan_rule(net.get(office.code, 0))) for office in offices
    )
    return Loans(shares=shares, shipments=shipments, before=outcome(offices, {}), after=outcome(offices, net))


def outcome(stocks: Sequence[Stock], given: Mapping[str, int]) -> Outcome:
    """How the offices would stand with that many blanks more (or fewer), by code."""
    after = [(stock, stock.usable + given.get(stock.code, 0)) for stock in stocks]
    covers = [(stock.cover(usable), stock.code) for stock, usable in after]
    smallest, first = min(covers)
    return Outcome(
        smallest_cover=smallest, first_out=first, unmet=math.fsum(stock.unmet(usable) for stock, usable in after)
    )


def even_split(stocks: Sequence[Stock], packs: int, pack: int) -> dict[str, int]:
    """As many packs for each, and one more for the first of them until there are none left."""
    each, over = divmod(packs, len(stocks))
    codes = sorted(stock.code for stock in stocks)
    return {code: (each + (number < over)) * pack for number, code in enumerate(codes)}


def pair(offices: Sequence[Lender], moved: Mapping[str, int], pack: int) -> list[Shipment]:
    """Shipments for packs that leave (below zero) and come (above), by code: first between offices that share most of
    their way from the root; there first where one gives just what another lacks, then the largest with the largest."""
    gives = {code: -packs for code, packs in sorted(moved.items()) if packs < 0}
    lacks = {code: packs for code, packs in sorted(moved.items()) if packs > 0}
    shipments: list[Shipment] = []
    for depth in range(max((len(office.near) for office in offices), default=0), -1, -1):
        groups: dict[tuple[str, ...], list[str]] = {}
        for office in offices:
            if len(office.near) >= depth:
                groups.setdefault(office.near[:depth], []).append(office.code)
        for _near, codes in sorted(groups.items()):
            shipments += _pair_group(codes, gives, lacks, pack)
    return shipments


def _pair_group(codes: Sequence[str], gives: dict[str, int], lacks: dict[str, int], pack: int) -> list[Shipment]:
    """Pair what these offices give and lack; what is paired is taken off."""
    senders, receivers = ([code for code in codes if code in packs] for packs in (gives, lacks))
    shipments: list[Shipment] = []

    def send(sender: str, receiver: str) -> None:
        packs = min(gives[sender], lacks[receiver])
        shipments.append(Shipment(sender=sender, receiver=receiver, quantity=packs * pack))
        for ends, counts, code in ((senders, gives, sender), (receivers, lacks, receiver)):
            counts[code] -= packs
            if not counts[code]:
                del counts[code]
                ends.remove(code)

    for receiver in sorted(receivers, key=lambda code: (-lacks[code], code)):
        just = [sender for sender in senders if gives[sender] == lacks[receiver]]
        if just:
            send(min(just), receiver)
    while senders and receivers:
        send(
            *(
                min(ends, key=lambda code: (-packs[code], code))
                for ends, packs in ((senders, gives), (receivers, lacks))
            )
        )
    return shipments


# --- handing out --------------------------------------------------------------------------------------------------


class _Pool:
    """Packs being handed out to offices that start with `start` (I) usable blanks and have room for `room` (I) packs.
    `home` (I): packs of each office that travel nowhere; None when none is dearer than another. `smallest`: the
    smallest cover that was reached, or `enough`."""

    def __init__(
        self,
        offices: Sequence[Stock],
        start: Sequence[int],
        room: Sequence[int],
        pack: int,
        home: Sequence[int] | None = None,
        trip_cost: float = 0.0,
        enough: float = math.inf,
    ) -> None:
        self.offices, self.start, self.room, self.pack = offices, start, room, pack
        self.home, self.trip_cost, self.enough = home, trip_cost, enough
        self.smallest = -math.inf

    def hand_out(self, packs: int) -> tuple[list[int], list[int]]:
        """(I) packs given to each office, and (I) how many of them it needs for the smallest cover."""
        needed = self._lift(packs)
        return self._fill(needed, packs - sum(needed)), needed

    def _cover(self, i: int, packs: int) -> float:
        return self.offices[i].cover(self.start[i] + packs * self.pack)

    def _lift(self, packs: int) -> list[int]:
        """(I) the fewest packs with which the smallest cover is as large as can be."""
        given = [0] * len(self.offices)
        waiting = [(self._cover(i, 0), i) for i in range(len(given))]
        heapq.heapify(waiting)
        while packs and self.room[waiting[0][1]] > given[waiting[0][1]] and waiting[0][0] < self.enough:
            i = waiting[0][1]
            given[i] += 1
            packs -= 1
            heapq.heapreplace(waiting, (self._cover(i, given[i]), i))
        self.smallest = min(waiting[0][0], self.enough)
        for i in range(len(given)):
            while given[i] and self._cover(i, given[i] - 1) >= self.smallest - SAME_COVER:
                given[i] -= 1
        return given

    def _fill(self, needed: Sequence[int], packs: int) -> list[int]:
        """Give the rest where it saves most requests."""
        given = list(needed)
        gains = [_gains(office, start, self.pack) for office, start in zip(self.offices, self.start, strict=True)]

        def turn(i: int) -> tuple[float, bool, float, int]:
            travels = self.home is not None and given[i] >= self.home[i]
            gain = round(gains[i](given[i]), SAME_GAIN_PLACES) - (self.trip_cost if travels else 0.0)
            return -gain, travels, self._cover(i, given[i]), i

        waiting = [turn(i) for i in range(len(given)) if given[i] < self.room[i]]
        heapq.heapify(waiting)
        while packs and waiting:
            i = waiting[0][-1]
            given[i] += 1
            packs -= 1
            if given[i] < self.room[i]:
                heapq.heapreplace(waiting, turn(i))
            else:
                heapq.heappop(waiting)
        return given


def _gains(office: Stock, start: int, pack: int) -> Callable[[int], float]:
    """How many unmet requests the pack after so many saves. Worked out by the dozen, as they are asked for."""
    known: dict[int, Numbers] = {}

    def gain(packs: int) -> float:
        block, place = divmod(packs, GAINS_AT_ONCE)
        if block not in known:
            steps = start + pack * (block * GAINS_AT_ONCE + np.arange(GAINS_AT_ONCE + 1))
            known[block] = -np.diff(expected_excess(steps, office.mean, office.dispersion))
        return float(known[block][place])

    return gain


# --- limits -------------------------------------------------------------------------------------------------------


def _in_order(stocks: Iterable[Kind]) -> list[Kind]:
    """By code, so that the same offices in another order get the same."""
    offices = sorted(stocks, key=lambda stock: stock.code)
    if not offices:
        raise Invalid("nobody_to_allot")
    if any(one.code == other.code for one, other in pairwise(offices)):
        raise ValueError("an office takes part once")
    return offices


def _check_pack(pack: int) -> None:
    if pack < 1:
        raise Invalid("pack_range")


def _check_packs(packs: int) -> None:
    if packs > MOST_PACKS:
        raise Invalid("packs_too_many", limit=MOST_PACKS)


def _limits(offices: Sequence[Stock], pack: int, packs: int) -> tuple[list[int], list[int]]:
    """(I) the least and the most packs of each office: the least is rounded up, the most down."""
    low = [-(-max(0, office.least) // pack) for office in offices]
    high = [packs if office.most is None else min(packs, office.most // pack) for office in offices]
    for office, least in zip(offices, low, strict=True):
        if office.most is not None and least > office.most // pack:
            raise Invalid("least_exceeds_most", office=office.code)
    return low, [max(least, most) for least, most in zip(low, high, strict=True)]


# --- why ----------------------------------------------------------------------------------------------------------

RULES = ("together", "unmet", "enough", "least", "most", "lends", "borrows", "keeps", "fixed")


def _rule(office: Stock, total: int, least: int, most: int, needed: int, pack: int, smallest: float) -> str:
    """Why an office gets that many packs: "most": it has no room for more. "enough": it lasts as long as the rest
    with nothing. "least": what it is to be given at least would not be needed. "unmet": some of it goes beyond the
    common day, where it saves most requests. "together": it then lasts as long as the others.
    """
    if office.most is not None and total == most:
        return "most"
    if not total:
        return "enough"
    if total == least and office.cover(office.usable + (total - 1) * pack) >= smallest:
        return "least"
    return "unmet" if total > needed else "together"


def _loan_rule(quantity: int) -> str:
    return "keeps" if not quantity else "borrows" if quantity > 0 else "lends"


def _share_of(office: Stock, quantity: int, rule: str) -> Share:
    return Share(
        code=office.code,
        quantity=quantity,
        rule=rule,
        cover_before=office.cover(office.usable),
        cover_after=office.cover(office.usable + quantity),
        unmet_before=office.unmet(office.usable),
        unmet_after=office.unmet(office.usable + quantity),
    )


# --- shipments ----------------------------------------------------------------------------------------------------


def _worthwhile(
    shipments: Iterable[Shipment], offices: Iterable[Stock], least: int, most: int | None
) -> tuple[Shipment, ...]:
    cover = {office.code: office.cover(office.usable) for office in offices}
    large = [shipment for shipment in shipments if shipment.quantity >= least]
    large.sort(key=lambda each: (cover[each.receiver], -each.quantity, each.receiver, each.sender))
    return tuple(large[:most])


def _net(shipments: Iterable[Shipment]) -> dict[str, int]:
    """What each office has more or fewer of."""
    net: dict[str, int] = {}
    for each in shipments:
        net[each.sender] = net.get(each.sender, 0) - each.quantity
        net[each.receiver] = net.get(each.receiver, 0) + each.quantity
    return net
