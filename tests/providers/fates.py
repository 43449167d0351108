"""Compares what a stand-in did to each mail with what Herald says of its delivery."""

from collections import Counter

from chaos.providers import StandIn
from chaos.providers.standin import KEPT_UNSAID, UNANSWERED
from chaos.system import System

MAILS = "SELECT event_id, state, attempts, last_error FROM deliveries WHERE subscription = 'welcome_email'"


def contradictions(system: System, stand_in: StandIn, *, doubts: int) -> list[str]:
    """Return what doesn't fit. `doubts`: the requests without an answer after which a mail is `uncertain`.

    A mail that `succeeded` was accepted, at last, and the stand-in said so. Any other copy was kept by a request
    without an answer. One that `failed` was rejected, and one that is `uncertain` had as many requests without an
    answer as it may. No mail came again after it was accepted or rejected.
    """
    accepted, wrong = stand_in.accepted(), [*stand_in.wrong]
    wrong += [f"{key} was sent again after an acceptance: {moods}" for key, moods in stand_in.misdeeds().items()]
    for event_id, state, _, _ in system.query("users", MAILS):
        [key] = [key for key in stand_in.fate if key.endswith(str(event_id))] or [""]
        moods = stand_in.fate.get(key, [])
        unanswered = sum(mood in UNANSWERED for mood in moods)
        unsaid = sum(mood in KEPT_UNSAID for mood in moods)
        last, said = moods[-1] if moods else "", accepted[key] - unsaid
        fits = {
            "succeeded": last in {"accept", "garble"} and said == 1 and unanswered < doubts,
            "failed": last == "reject" and said == 0,
            "uncertain": last in UNANSWERED and said == 0 and unanswered == doubts,
        }.get(state, False)
        wrong += [] if fits else [f"{event_id} is {state} after {moods}"]
    return wrong


def states(system: System) -> Counter[str]:
    return Counter(state for _, state, _, _ in system.query("users", MAILS))
