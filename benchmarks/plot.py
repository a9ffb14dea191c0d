"""A plot of the last run side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .side_by_side import CONTENDERS, VIEWS


def draw(views: dict[str, Any], path: Path) -> None:
    """Draw what each view costs, side by side."""
    import matplotlib as mpl

    mpl.use("svg")
    # So that the same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "flask-wepay"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for position, (name, label) in enumerate(CONTENDERS.items()):
        places = [index + (position - 1.5) * 0.2 for index in range(len(VIEWS))]
        costs = [views[view][name]["cost"] / 1000 for view in VIEWS]
        bars = axes.bar(places, costs, 0.19, label=label)
        axes.bar_label(bars, [f"{cost:.2g}" if cost < 10 else f"{cost:.0f}" for cost in costs])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(y=0.12)
    axes.set_xticks(range(len(VIEWS)), VIEWS)
    axes.set_ylabel("milliseconds beyond the bare view")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.17))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
