"""What waits for a second person: the list, and the decision on one of them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext

from inventory import security
from inventory.domain.access import Action
from inventory.domain.proposals import ProposalKind
from inventory.services import destructions, ledger, offices, proposals, reversals
from inventory.services.proposals import ProposalView
from inventory.web.forms import PostingForm, WordsField, item_names
from inventory.web.forms import lazy as _
from inventory.web.stock_cards import entry

blueprint = Blueprint("proposals", __name__)


class DecisionForm(PostingForm):
    REFUSED_FIELDS = {"decision_needs_reason": "why"}

    why = WordsField(_("Why is it not approved?"), most=500)


class WithdrawalForm(PostingForm):
    REFUSED_FIELDS = {"decision_needs_reason": "why"}

    why = WordsField(_("Why is it withdrawn?"), most=500, required=True)


@blueprint.get("/proposals")
@security.needs(Action.APPROVE)
def index() -> Any:
    return render_template("proposals/index.html", proposals=proposals.waiting(security.current_actor()))


@blueprint.get("/proposals/<int(max=2147483647):proposal_id>")
@security.needs(Action.VIEW_STOCK)
def show(proposal_id: int) -> Any:
    return _page(proposals.get(security.current_actor(), proposal_id), DecisionForm(formdata=None))


@blueprint.post("/proposals/<int(max=2147483647):proposal_id>/decide")
@security.needs(Action.APPROVE)
def decide(proposal_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    proposal = proposals.to_decide(actor, proposal_id, ProposalKind)
    form = DecisionForm()
    rejects = request.form.get("decision") != "approve"

    def work() -> bool:
        if rejects:
            proposals.reject(actor, now, proposal_id, form.why.data or "")
        elif proposal.kind is ProposalKind.REVERSAL:
            reversals.approve(actor, now, form.request_uuid, proposal_id)
        else:
            destructions.approve(actor, now, form.request_uuid, proposal_id)
        return True

    if form.accept(work):
        said = gettext("Rejected: nothing has left the books.") if rejects else gettext("Approved, and on the books.")
        flash(said, "success")
        return redirect(url_for("proposals.index"), 303)
    return _page(proposals.get(actor, proposal_id), form)


@blueprint.post("/proposals/<int(max=2147483647):proposal_id>/withdraw")
@security.needs(Action.VIEW_STOCK)
def withdraw(proposal_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    proposal = proposals.get(actor, proposal_id)
    form = WithdrawalForm()

    def work() -> bool:
        proposals.withdraw(actor, now, proposal_id, form.why.data or "")
        return True

    if form.accept(work):
        flash(gettext("Withdrawn: nothing has left the books."), "success")
        return redirect(url_for("offices.show", code=proposal.office_code), 303)
    return _page(proposal, form)


def _page(proposal: ProposalView, form: Any) -> Any:
    """The page of a proposal, with the form for who decides or for who proposed it."""
    actor = security.current_actor()
    own = proposal.proposed_by_id == actor.person_id
    if own and not isinstance(form, WithdrawalForm):
        form = WithdrawalForm(formdata=None)
    shown: dict[str, Any] = {"proposal": proposal, "form": form, "own": own, "names": item_names()}
    shown["office"] = offices.get(actor, Action.VIEW_STOCK, proposal.office_code)
    if proposal.kind is ProposalKind.REVERSAL and proposal.movement_id is not None:
        shown["card"], shown["line"] = entry(ledger.find(actor, proposal.movement_id, Action.VIEW_STOCK))
    else:
        shown["record"] = destructions.get(actor, proposal.id)
    return render_template("proposals/show.html", **shown), form.status
