"""Commands for ``flask --app crowdfunding``."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from .extensions import db
from .models import Campaign, User

# The login page shows these when the setting DEMO is on.
DEMO_EMAIL = "robin@example.org"
DEMO_PASSWORD = "lanterns-at-dusk"

CAMPAIGNS = [
    (
        "A footbridge over Miller's Brook",
        "Children walk forty minutes around to reach a school they can see from home.",
        1200,
        "The old bridge went with the flood in March. Since then the way to school leads along "
        "the main road, around the mill and back.\n\n"
        "The carpenter's workshop gives its time, the village gives the oak. What is missing is "
        "the steel underneath, and somebody who sets the two foundations.",
    ),
    (
        "Winter coats for the night shelter",
        "Forty warm coats before the first frost, so that nobody waits outside without one.",
        2400,
        "Last winter we lent out coats by the hour. This year everybody who comes through our "
        "door should keep one.\n\n"
        "A coat that lasts costs sixty dollars. We buy from the outlet two streets away, which "
        "adds hats and gloves for nothing.",
    ),
    (
        "New strings for the youth orchestra",
        "Eleven violins, four cellos, and not a single string that stays in tune.",
        850,
        "We are thirty-two players between nine and seventeen, and we rehearse on Fridays.\n\n"
        "The instruments are lent to us and they are good. Their strings are older than some of "
        "our violinists. A full set for everyone means that the spring concert can happen.",
    ),
]


@click.command
@with_appcontext
def seed() -> None:
    """Add an organizer with a few campaigns, unless that is done."""
    if db.session.scalar(select(User).filter_by(email=DEMO_EMAIL)):
        return
    robin = User(name="Robin Ashdown", email=DEMO_EMAIL)
    robin.set_password(DEMO_PASSWORD)
    for title, summary, goal, story in reversed(CAMPAIGNS):
        robin.campaigns.append(Campaign(title=title, summary=summary, goal=goal, story=story))
    db.session.add(robin)
    db.session.commit()
    click.echo(f"Log in as {DEMO_EMAIL} with the password {DEMO_PASSWORD}")
