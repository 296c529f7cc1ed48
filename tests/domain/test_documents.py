"""What documents say: kept without loss, checked, and with one digest."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from inventory.domain.documents import (
    FIGURES,
    KINDS,
    RECORDS,
    DeliveredLine,
    DestructionRecord,
    Paper,
    StocktakeRecord,
    TransferredLine,
    content_of,
    digest_of,
    from_facts,
    number_text,
    paper_from,
    to_facts,
    totals_of,
)
from tests.adapters import papers

EACH = papers.one_of_each()
ALL = EACH | papers.awkward()


def test_every_kind_has_its_record() -> None:
    assert set(RECORDS) == set(KINDS) == set(EACH)


@pytest.mark.parametrize("name", ALL)
def test_a_paper_is_kept_without_loss(name: str) -> None:
    paper = ALL[name]
    content = content_of(paper)
    again = paper_from(content)
    assert again == paper
    assert isinstance(again.record, RECORDS[paper.kind])
    assert to_facts(again.record) == paper.facts
    assert content_of(again) == content
    assert json.loads(content)["facts"] == paper.facts


def test_whatever_changes_changes_the_digest() -> None:
    paper = EACH["delivery"]
    others = [
        replace(paper, number="00013/51.71/2024"),
        replace(paper, office_name="Kota Denpasar "),
        replace(paper, link=paper.link + "x"),
        replace(paper, facts=to_facts(papers.delivery(condition="kering"))),
    ]
    digests = {digest_of(content_of(each)) for each in [paper, *others]}
    assert len(digests) == 5
    assert digest_of(content_of(replace(paper))) in digests


@pytest.mark.parametrize(
    "spoil",
    [
        lambda facts: facts | {"more": 1},
        lambda facts: {name: value for name, value in facts.items() if name != "bast_number"},
        lambda facts: facts | {"bast_on": "soon"},
        lambda facts: facts | {"bast_number": 12},
        lambda facts: facts | {"lines": [{"item": "x"}]},
    ],
)
def test_facts_that_are_no_record_are_refused(spoil: object) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_facts(RECORDS["delivery"], spoil(EACH["delivery"].facts))  # type: ignore[operator]


def test_a_breakdown_that_is_not_its_total_is_no_record() -> None:
    facts = to_facts(papers.destruction())
    with pytest.raises(ValueError, match="breakdown"):
        from_facts(DestructionRecord, facts | {"total": facts["total"] + 1})


def test_a_transfer_accounts_for_every_card() -> None:
    TransferredLine(item=papers.BLANK, sent=40)
    with pytest.raises(ValueError, match="sent"):
        TransferredLine(item=papers.BLANK, sent=40, received=39, damaged=0, short=0)


def test_a_card_that_does_not_add_up_is_no_record() -> None:
    card = papers.stock_card(5)
    with pytest.raises(ValueError, match="comes to"):
        replace(card, closing=card.closing + 1)
    with pytest.raises(ValueError, match="leaves"):
        replace(card, opening=card.opening + 1)


@pytest.mark.parametrize(
    ("asked", "allotted", "received", "short", "over"),
    [(10, 4, 4, 0, 0), (10, 4, 3, 1, 0), (10, None, 3, 7, 0), (4, None, 5, 0, 1), (None, None, 5, None, None)],
)
def test_short_and_over_are_of_what_was_promised(
    asked: int | None, allotted: int | None, received: int, short: int | None, over: int | None
) -> None:
    line = DeliveredLine(item=papers.BLANK, asked=asked, allotted=allotted, received=received, defective=0)
    assert (line.short, line.over) == (short, over)


def test_the_recount_is_what_counts() -> None:
    record = papers.stocktake()
    assert isinstance(record, StocktakeRecord)
    assert [line.difference for line in record.lines] == [-2, 0, 1]


def test_the_main_figures_name_nobody() -> None:
    for paper in EACH.values():
        shown = repr(totals_of(paper))
        for name in ("Suartini", "Santoso", "Kurir", "Oka", "Sudarma"):
            assert name not in shown
        assert {figure for _item, figure, _quantity in totals_of(paper)} <= set(FIGURES)
    assert totals_of(EACH["destruction"]) == [
        (papers.BLANK, "destroyed", 1_600),
        (papers.WNA, "destroyed", 39),
    ]
    assert totals_of(EACH["count_sheet"]) == []


def test_a_number_says_office_and_year() -> None:
    assert number_text(12, "51.71", 2024) == "00012/51.71/2024"
    assert isinstance(EACH["delivery"], Paper)
