"""How the documentation is built: ``make docs``."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Flask-WePay"
author = "Flask-WePay contributors"
copyright = author  # noqa: A001
release = version_of("Flask-WePay")
version = ".".join(release.split(".")[:2])

extensions = [
    "sphinx.ext.autodoc",
    "pallets_sphinx_themes",
    "generated",
    "imports",
    "wide_tables",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True
# Without a network there are no inventories of other projects to link to.
nitpick_ignore_regex = [
    ("py:.*", r"(authlib|blinker|collections|decimal|flask|pathlib|requests|typing|werkzeug)\..*"),
    ("py:.*", r"(?!flask_wepay)[A-Za-z_]+"),
    ("py:.*", r"flask_wepay\.extension\._\w+"),
    ("py:.*", r"flask_wepay\.(state|store|calls|tokens|settings)\..*"),
]
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
# Dashes only: quotes are those of code.
smartquotes_action = "D"
highlight_language = "python"
suppress_warnings = ["config.cache"]

html_theme = "flask"
# The banner asks PyPI about the name Flask-WePay, which is another package's there.
version_banner = False
html_theme_options = {"globaltoc_maxdepth": 1}
html_title = f"Flask-WePay {version}"
html_short_title = "Flask-WePay"
html_static_path = ["_static"]
html_css_files = ["flask-wepay.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {
    "404": ["searchbox.html"],
    "index": ["globaltoc.html", "searchbox.html"],
    "**": ["searchbox.html", "onthispage.html", "globaltoc.html"],
}
