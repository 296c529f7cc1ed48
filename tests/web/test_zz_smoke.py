from tests.web.test_desk import client_of
from tests.conftest import NOW, TODAY
from tests.world import World
import pytest
from inventory.services import reviews
from inventory.domain.access import SYSTEM
from tests.services.test_balances import stock_up
def fill(world):
    stock_up()
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
@pytest.mark.filled(by=fill)
def test_x(app):
    c = client_of(app, "regional")
    for p in ("/offices/51/balances","/offices/51/balances?q=den&sort=-store&level=&page=3","/offices/51.71/balances/rows?item=kia&depth=1&scale=20","/compare","/compare?office=51&office=51.71&item=kia&q=den","/run-outs/timeline","/offices/51/run-outs/timeline","/offices/51/run-outs", "/offices/51/balances?level=low", "/compare?office=51.71.01&office=51.71.02&office=51.03&show=cover"):
        r = c.get(p)
        print(p, r.status_code, len(r.text))
        if r.status_code!=200: print(r.text[-3000:])
