"""The pictures: how fast, at what cost, how late. One bar or one dot for each system; Herald stands out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmarks.table import BURST, Column, value

INK, PALE, HERALD, PEER = "#22272e", "#d8dee6", "#2b6cb0", "#a0aec0"
SHOWN = ("POST/s", "processed/s", "CPU s/1,000", "memory MiB")
MEANING = {
    "processed/s": "registrations fully processed, a second",
    "CPU s/1,000": "CPU seconds of the services for 1,000 registrations",
    "memory MiB": "memory of the services after the burst, MiB",
    "POST/s": "POST /users answered, a second",
}
PACES = {"steady": "20 a second", "sparse": "one in 1.5 s"}

Systems = Sequence[dict[str, Any]]


def draw(results: dict[str, Any], directory: Path) -> list[Path]:
    """Draw what was measured, and return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    mpl.rcParams["svg.hashsalt"] = "herald"  # the same figures give the same file
    systems = list(results["systems"].values())
    return [_burst(systems, directory / "burst.svg"), _lag(systems, directory / "lag.svg")]


def _burst(systems: Systems, path: Path) -> Path:
    figure, axes = _panels(2, 2, 0.32 * len(systems) * 2 + 1.6)
    columns = [column for title in SHOWN for column in BURST if column.title == title]
    for each, column in zip(axes, columns, strict=True):
        _bars(each, systems, column)
    return _save(figure, path)


def _bars(axes: Axes, systems: Systems, column: Column) -> None:
    found = [(each["title"], value(each, column.path)) for each in reversed(systems)]
    bars = [(title, figure * column.scale) for title, figure in found if figure is not None]
    colours = [_colour(title) for title, _ in bars]
    drawn = axes.barh([title for title, _ in bars], [figure for _, figure in bars], color=colours, height=0.7)
    axes.bar_label(drawn, [format(figure, column.form) for _, figure in bars], padding=3, fontsize=8, color=INK)
    axes.margins(x=0.12)
    _dress(axes, MEANING[column.title])


def _lag(systems: Systems, path: Path) -> Path:
    figure, axes = _panels(2, 2, 0.32 * len(systems) * 2 + 1.6)
    panels = [(pace, effect) for pace in PACES for effect in ("mail", "audit")]
    for each, (pace, effect) in zip(axes, panels, strict=True):
        _spans(each, systems, f"lag.{pace}.{effect}")
        _dress(each, f"{effect}, {PACES[pace]}: ms after the 201, median (dot) to p99 (bar)")
    return _save(figure, path)


def _spans(axes: Axes, systems: Systems, path: str) -> None:
    """Draw a line from the median to p99, on the same logarithmic axis in all; less than 1 ms stands at its left."""
    axes.set_xscale("log")
    axes.set_xlim(1, 10_000)
    axes.margins(y=0.2)
    axes.xaxis.set_major_formatter(lambda milliseconds, _: f"{milliseconds:g}")
    for each in reversed(systems):
        median, last = value(each, f"{path}.p50"), value(each, f"{path}.p99")
        if median is not None and last is not None:
            ends = [max(1000 * median, 1), max(1000 * last, 1)]
            row, colour = [each["title"]] * 2, _colour(each["title"])
            axes.plot(ends, row, color=colour, linewidth=2, marker="o", markersize=6, markevery=[0])
            axes.plot(ends, row, color=colour, linestyle="", marker="|", markersize=9, markevery=[1])
            words = f"{1000 * median:,.1f} to {1000 * last:,.1f}"
            axes.annotate(words, (ends[1], each["title"]), (6, 0), textcoords="offset points", va="center", fontsize=8)


def _panels(height: int, width: int, inches: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(13, inches), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.1), facecolor="white")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(height, width, number + 1) for number in range(height * width)]


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.tick_params(labelsize=8.5, colors=INK, length=0)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _colour(title: str) -> str:
    return HERALD if title.startswith("Herald") else PEER


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    return path
