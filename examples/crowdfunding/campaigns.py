"""What is raised money for."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from flask_wepay import wepay_required

from .extensions import db
from .forms import CampaignForm
from .models import Campaign
from .payments import look_up_merchant, wepay

bp = Blueprint("campaigns", __name__)


@bp.get("/")
def index() -> ResponseReturnValue:
    newest = select(Campaign).order_by(Campaign.id.desc()).limit(30)
    campaigns = db.session.scalars(newest.options(joinedload(Campaign.owner)))
    return render_template("index.html", campaigns=campaigns.all())


@bp.get("/campaigns/<int:campaign_id>")
def show(campaign_id: int) -> ResponseReturnValue:
    campaign = db.get_or_404(Campaign, campaign_id)
    # A donation goes to the campaign's owner, whoever is looking at the page.
    organizer = wepay.client_for(str(campaign.owner_id))
    return render_template("campaign.html", campaign=campaign, can_receive=organizer.authorized)


@bp.get("/dashboard")
@login_required
def dashboard() -> ResponseReturnValue:
    merchant, problem = look_up_merchant()
    return render_template(
        "dashboard.html", campaigns=current_user.campaigns, merchant=merchant, problem=problem
    )


@bp.route("/campaigns/new", methods=["GET", "POST"])
@login_required
@wepay_required
def create() -> ResponseReturnValue:
    """Begin a campaign, as only somebody who can be paid may do."""
    form = CampaignForm()
    if form.validate_on_submit():
        campaign = Campaign(owner_id=current_user.id)
        form.populate_obj(campaign)
        db.session.add(campaign)
        db.session.commit()
        flash("Your campaign is online.", "good")
        return redirect(url_for(".show", campaign_id=campaign.id))
    return render_template("new_campaign.html", form=form)
