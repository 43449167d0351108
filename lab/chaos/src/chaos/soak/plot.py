"""The soak at a glance: small multiples over one time axis, with every fault as a thin line through all of them.

The shaded part is without faults. Beside each name stands its last value.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from chaos.soak.judgement import growing
from chaos.soak.panels import PANELS, Panel
from chaos.soak.recording import Mark, Points, Recording
from chaos.soak.run import Outcome
from chaos.soak.storm import FAULTS_UNTIL

INK, PALE, RED = "#22272e", "#d8dee6", "#c0392b"
COLOURS = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#b7791f", "#d53f8c", "#319795", "#718096")
ALWAYS = {"users-api": 0, "api": 0, "relay": 1, "notifier": 2, "auditor": 3, "redis": 4, "postgres": 5, "listen": 6}
"""A process that appears in several pictures has the same colour in each."""
FAULTS = {"kill": "#c0392b", "SIGTERM": "#b7791f", "SIGSTOP": "#b7791f", "SMTP": "#805ad5", "restart": "#2b6cb0"}
REDIS = "#dd6b20"


COLUMNS = 2
DPI = 62
SHADES = 64
WIDE = 150
"""Characters that a line of the title has room for."""

SMOOTH = 5
"""Samples that a rate is taken over."""


def plot(outcome: Outcome, path: Path) -> None:
    """Draw the samples to a PNG, small enough to commit."""
    rows = len(PANELS) // COLUMNS
    figure = Figure(figsize=(17, 2.1 * rows + 2.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(h_pad=0.06, w_pad=0.12)  # type: ignore[union-attr, call-arg]  # it is the constrained one
    figure.suptitle(_title(outcome), x=0.01, ha="left", fontsize=15, fontweight="bold", color=INK)
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[0.7, *[1] * rows])
    recording = outcome.recording
    grown = set(growing(outcome.verdicts or ()))
    for column in range(COLUMNS):
        _name_faults(figure.add_subplot(grid[0, column]), recording)
    for number, panel in enumerate(PANELS):
        axes = figure.add_subplot(grid[1 + number // COLUMNS, number % COLUMNS])
        quiet_from = FAULTS_UNTIL * outcome.plan.seconds / 60
        axes.axvspan(quiet_from, max(quiet_from, recording.end / 60), color=PALE, alpha=0.6, linewidth=0, zorder=0)
        _draw(axes, panel, recording, grown)
        if number >= len(PANELS) - COLUMNS:
            axes.set_xlabel("minutes", fontsize=9, color=INK)
    figure.savefig(path, dpi=DPI)
    Image.open(path).convert("RGB").quantize(SHADES, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def _title(outcome: Outcome) -> str:
    plan = outcome.plan
    about = f"Herald, {plan.seconds / 60:g} minutes at {plan.per_second:g} registrations a second, seed {plan.seed}"
    return f"{about}\n{outcome.in_words[:WIDE]}"


def _name_faults(axes: Axes, recording: Recording) -> None:
    """Write the faults' names along the time axis, above the lines of the pictures below."""
    axes.set_axis_off()
    _span(axes, recording)
    axes.set_ylim(0, 1)
    for mark in recording.marks:
        axes.text(mark.at / 60, 0.0, mark.kind, rotation=60, fontsize=7.5, color=_colour(mark), ha="left", va="bottom")


def _draw(axes: Axes, panel: Panel, recording: Recording, grown: set[str]) -> None:
    names = [name for name in sorted(recording.series) if name.startswith(panel.begins) and not panel.but(name)]
    for mark in recording.marks:
        axes.axvline(mark.at / 60, color=_colour(mark), linewidth=0.7, alpha=0.45, zorder=1)
    for place, name in enumerate(names):
        points = _rate(recording.series[name]) if panel.rate else recording.series[name]
        if points:
            _line(axes, name, points, place, name in grown)
    _dress(axes, panel, recording)


def _line(axes: Axes, name: str, points: Points, place: int, grown: bool) -> None:
    """Draw one series; what lies on top is thinner, so that what lies below shows."""
    of = name.partition("/")[2].removeprefix("herald-")
    last = points[-1][1]
    label = f"{of}  {last:,.0f}" if last >= 20 or last == int(last) else f"{of}  {last:,.1f}"
    colour = COLOURS[ALWAYS.get(of, place) % len(COLOURS)]
    line = axes.plot(*_gapped(points), color=colour, linewidth=max(1.1, 2.3 - 0.4 * place), label=label, zorder=2)[0]
    if grown:
        line.set(color=RED, linewidth=3.2, label=f"{label}  GROWS")


def _dress(axes: Axes, panel: Panel, recording: Recording) -> None:
    axes.set_title(panel.title, loc="left", fontsize=10.5, color=INK)
    _span(axes, recording)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.04)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.tick_params(labelsize=8.5, colors=INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(PALE)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5, frameon=False, handlelength=1.2)


def _span(axes: Axes, recording: Recording) -> None:
    axes.set_xlim(0, max(recording.end, 1.0) / 60)


def _colour(mark: Mark) -> str:
    if "Redis" in mark.kind or mark.kind == "FLUSHALL":
        return REDIS
    return FAULTS[mark.kind.split()[0]]


def _gapped(points: Points) -> tuple[list[float], list[float]]:
    """Return minutes and values, with a gap where a server was away."""
    minutes: list[float] = []
    values: list[float] = []
    for index, (at, value) in enumerate(points):
        if index and at - points[index - 1][0] > 3 * _step(points):
            minutes.append(at / 60)
            values.append(float("nan"))
        minutes.append(at / 60)
        values.append(value)
    return minutes, values


def _step(points: Points) -> float:
    return (points[-1][0] - points[0][0]) / max(1, len(points) - 1)


def _rate(points: Points) -> Points:
    """Turn running totals into rates for each second."""
    pairs = zip(points, points[SMOOTH:], strict=False)
    return [(after[0], (after[1] - before[1]) / (after[0] - before[0])) for before, after in pairs]
