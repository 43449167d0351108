"""Findings as a table for people."""

from collections.abc import Sequence
from itertools import groupby

from contracts.compatibility.findings import Finding


def table(findings: Sequence[Finding]) -> str:
    """Return the findings by version: the field and what happened to it, what that breaks, what to do instead."""
    width = max(len(_what(each)) for each in findings)
    lines = []
    for about, group in groupby(sorted(findings, key=lambda each: each.about), key=lambda each: each.about):
        lines.append(about)
        for each in group:
            lines.append(f"  {_what(each):<{width}}   breaks: {each.breaks}")
            lines.append(f"  {'':<{width}}   instead: {each.instead}")
    return "\n".join(lines)


def _what(finding: Finding) -> str:
    return f"{finding.field} {finding.change}".strip()
