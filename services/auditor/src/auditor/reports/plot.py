"""The plot of a report. It uses matplotlib without pyplot, which keeps figures of all threads in one place."""

from collections.abc import Mapping
from datetime import date
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SHOWN = 60
"""The most days in the plot, the newest ones; the table has all."""

LABELLED = 12
"""Up to this many bars have their number on them, and as many days are named."""


def png(days: Mapping[date, int], title: str) -> bytes:
    """Draw a bar for each day."""
    shown = list(days.items())[-SHOWN:]
    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    bars = axes.bar(range(len(shown)), [count for _, count in shown], color="#4f6df5", width=0.8)
    if len(shown) <= LABELLED:
        axes.bar_label(bars, fmt="{:,.0f}", padding=2)
    _label(axes, [day for day, _ in shown])
    if len(days) > SHOWN:
        axes.set_xlabel(f"the newest {SHOWN} of {len(days):,} days")
    axes.set_title(title, loc="left", fontsize=13, pad=12)
    picture = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _label(axes: Axes, days: list[date]) -> None:
    axes.set_ylabel("registrations")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e3e7ec")
    axes.spines[["top", "right", "left"]].set_visible(False)
    every = max(1, -(-len(days) // LABELLED))
    places = list(range(len(days) - 1, -1, -every))
    axes.set_xticks(places, [f"{days[place].day} {days[place]:%b}" for place in places])
    axes.set_xlim(-0.7, max(len(days), 4) - 0.3)
