"""The language of the pages: English, and with Flask-Babel what is in our catalogues."""

from __future__ import annotations

import gettext
import sys
from pathlib import Path
from typing import NamedTuple

from flask import current_app

from .texts import Text

__all__ = ["ENGLISH", "Language", "chosen_language"]

LANGUAGES = ("es", "fr")
DIRECTORY = Path(__file__).with_name("translations")


class Language(NamedTuple):
    """A language of the pages, by its code as ``<html lang>`` has it."""

    code: str
    translations: gettext.NullTranslations

    def say(self, words: str) -> str:
        """Return words of ours in this language."""
        return self.translations.gettext(words)

    def text(self, text: Text, **values: object) -> Text:
        """Return a text in this language, with its values filled in."""
        ways = tuple((way, self.say(label)) for way, label in text.ways)
        return Text(self.say(text.heading), self.say(text.text) % values, ways)


ENGLISH = Language("en", gettext.NullTranslations())


def chosen_language() -> Language:
    """Return the language that Flask-Babel has chosen for this request, if it is one of ours.

    Without Flask-Babel it is English. What an application's ``locale_selector`` raises goes on.
    """
    # It is imported where it is used, and no requirement.
    flask_babel = sys.modules.get("flask_babel")
    if flask_babel is None or "babel" not in current_app.extensions:
        return ENGLISH
    locale = flask_babel.get_locale()
    if locale is None or locale.language not in LANGUAGES:
        return ENGLISH
    return Language(locale.language, gettext.translation("wepay", DIRECTORY, [locale.language]))
