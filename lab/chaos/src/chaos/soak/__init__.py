"""Soaking: a real Herald under constant load and random faults, and a look at whether anything only ever grows."""

from chaos.soak.plan import Plan
from chaos.soak.run import Outcome, run

__all__ = ["Outcome", "Plan", "run"]
