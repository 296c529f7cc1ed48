"""All offices below one: sums as in plain Python, in order, page by page, within reach, in a handful of queries."""
from tests.world import World
from tests.conftest import NOW
from inventory.domain.access import SYSTEM
from inventory.domain.stock_overview import Asking, SORTS
from inventory.services import stock_overview
from tests.services.test_balances import stock_up, judge

def test_x(world: World) -> None:
    stock_up()
    judge("51.71","low")
    for s in SORTS:
        for d in (True, False):
            for e in (True, False):
                o = stock_overview.of_office(SYSTEM, NOW, "51", "ktp-wni", Asking(sort=s, down=d, everything=e))
    for r in o.rows: print(r)
    print(o.whole)
    o = stock_overview.of_office(SYSTEM, NOW, "51", "ktp-wni", Asking(words="denpasar", page=7))
    for r in o.rows: print(r)
