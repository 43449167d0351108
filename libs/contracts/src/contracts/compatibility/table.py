"""Findings, written for people."""

from collections.abc import Sequence
from itertools import groupby

from contracts.compatibility.findings import Finding


def table(findings: Sequence[Finding]) -> str:
    """Return the findings by version: what happened to which field, what that breaks, and what to do instead."""
    lines = []
    for about, group in groupby(sorted(findings, key=lambda each: each.about), key=lambda each: each.about):
        lines.append(about)
        for each in group:
            lines.append(f"  {each.field} {each.change}".replace("   ", "  "))
            lines.append(f"    breaks:  {each.breaks}")
            lines.append(f"    instead: {each.instead}")
    return "\n".join(lines)
