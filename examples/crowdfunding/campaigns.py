"""What is raised money for."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from flask_wepay import wepay_required

from .donations import send_to_wepay
from .extensions import db
from .forms import CampaignForm, DonationForm
from .models import Campaign, Donation
from .payments import can_receive, look_up_merchant

bp = Blueprint("campaigns", __name__)


@bp.get("/")
def index() -> ResponseReturnValue:
    newest = select(Campaign).order_by(Campaign.id.desc()).limit(30)
    campaigns = db.session.scalars(newest.options(joinedload(Campaign.owner)))
    return render_template("index.html", campaigns=campaigns.all())


@bp.route("/campaigns/<int:campaign_id>", methods=["GET", "POST"])
def show(campaign_id: int) -> ResponseReturnValue:
    """Show a campaign, and take a donation to it."""
    campaign = db.get_or_404(Campaign, campaign_id)
    form = DonationForm()
    if form.validate_on_submit():
        donation = Donation(campaign=campaign, amount=form.cents)
        db.session.add(donation)
        db.session.commit()
        return send_to_wepay(donation)
    # Whether it takes donations depends on its owner, whoever is looking at the page.
    return render_template(
        "campaign.html", campaign=campaign, form=form, can_receive=can_receive(campaign.owner)
    )


@bp.get("/dashboard")
@login_required
def dashboard() -> ResponseReturnValue:
    merchant, problem = look_up_merchant()
    donations = select(Donation).join(Campaign).filter_by(owner_id=current_user.id)
    newest = donations.where(Donation.state != "new").order_by(Donation.id.desc()).limit(20)
    return render_template(
        "dashboard.html",
        campaigns=current_user.campaigns,
        donations=db.session.scalars(newest.options(joinedload(Donation.campaign))).all(),
        merchant=merchant,
        problem=problem,
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
