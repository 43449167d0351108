"""The statements of the effect ledger.

Every claim has a token of its own, which is the fence: only the attempt that holds the token records. Tokens are
unique, so a statement that names effects by event and by token matches the two in pairs. A statement whose answer got
lost can be repeated: that changes nothing more. Rows are found by `= ANY` on the primary key, not by a join with
`unnest`: a plan of such a join, made while the table was empty, would later read the whole table. Claims run out by the
database's clock.
"""

from typing import LiteralString

CLAIM: LiteralString = """
-- Claim effects that have no row or were released, and those that are uncertain or whose claim ran out, if the policy
-- allows another attempt or an operator has retried the delivery (a newer generation). An effect that is done is never
-- claimed. A claim of another attempt that ran out is a doubt. Sorted, so that overlapping attempts wait for each other
-- and don't deadlock.
INSERT INTO effects (event_id, subscription, state, claim, claimed_until, generation)
SELECT event_id, subscription, 'claimed', claim, now() + make_interval(secs => %(lease)s), generation
FROM (SELECT unnest(%(event_ids)s::uuid[]) AS event_id, unnest(%(subscriptions)s::text[]) AS subscription,
    unnest(%(tokens)s::uuid[]) AS claim, unnest(%(generations)s::int[]) AS generation) AS wanted
ORDER BY event_id
ON CONFLICT (event_id, subscription) DO UPDATE
SET state = 'claimed', claim = excluded.claim, claimed_until = excluded.claimed_until,
    doubts = CASE WHEN effects.generation < excluded.generation THEN 0
        ELSE effects.doubts + (effects.state = 'claimed' AND effects.claim <> excluded.claim)::int END,
    generation = greatest(effects.generation, excluded.generation)
WHERE effects.claim = excluded.claim OR effects.state = 'released'
    OR effects.state <> 'done' AND effects.claimed_until <= now() AND (effects.generation < excluded.generation
        OR %(resend)s AND effects.doubts + (effects.state = 'claimed')::int < %(max_doubts)s)
RETURNING claim
"""

RENEW: LiteralString = """
-- Renew claims, except those whose effect another attempt has claimed.
UPDATE effects SET claimed_until = now() + make_interval(secs => %(lease)s)
WHERE event_id = ANY (%(event_ids)s) AND claim = ANY (%(tokens)s) AND state = 'claimed'
RETURNING claim
"""

LOOK: LiteralString = """
-- Return the states of effects that couldn't be claimed; `released`, if they can be claimed by now. If a claim has run
-- out and no attempt may claim its effect, the effect becomes uncertain here. An operator's decision is a receipt about
-- the latest dispatch, so that is noted too.
WITH seen AS (
    SELECT event_id, state, claimed_until, reference,
        state IN ('claimed', 'uncertain') AND claimed_until <= now() AS is_over,
        generation < (%(generations)s::int[])[array_position(%(event_ids)s::uuid[], event_id)]
            OR %(resend)s AND doubts + (state = 'claimed')::int < %(max_doubts)s AS may_be_claimed
    FROM effects WHERE event_id = ANY (%(event_ids)s) AND subscription = ANY (%(subscriptions)s)
), held AS (
    UPDATE effects SET state = 'uncertain', doubts = doubts + (state = 'claimed')::int,
        evidence = CASE state WHEN 'claimed' THEN %(evidence)s ELSE evidence END,
        publisher = (%(publishers)s::text[])[array_position(%(event_ids)s::uuid[], event_id)],
        dispatch = (%(dispatches)s::int[])[array_position(%(event_ids)s::uuid[], event_id)]
    WHERE event_id = ANY (ARRAY(SELECT event_id FROM seen WHERE is_over AND NOT may_be_claimed))
        AND subscription = ANY (%(subscriptions)s) AND state IN ('claimed', 'uncertain') AND claimed_until <= now()
)
SELECT event_id, CASE WHEN is_over AND may_be_claimed THEN 'released' ELSE state END,
    extract(epoch FROM claimed_until - now())::float8, reference
FROM seen
"""

RECORD: LiteralString = """
-- Record how effects of any number of attempts ended, in one commit. An effect that is done is recorded even if its
-- claim has run out, unless another attempt has claimed it. It isn't in doubt any more, so no receipt about it is due.
WITH done AS (
    UPDATE effects SET state = 'done', done_at = coalesce(done_at, now()), publisher = NULL, dispatch = NULL,
        reference = (%(references)s::text[])[array_position(%(done)s::uuid[], claim)]
    WHERE event_id = ANY (%(done_events)s) AND claim = ANY (%(done)s)
    RETURNING claim, doubts
), uncertain AS (
    UPDATE effects SET state = 'uncertain', doubts = doubts + (state = 'claimed')::int, claimed_until = now(),
        evidence = (%(evidence)s::text[])[array_position(%(uncertain)s::uuid[], claim)],
        publisher = (%(publishers)s::text[])[array_position(%(uncertain)s::uuid[], claim)],
        dispatch = (%(dispatches)s::int[])[array_position(%(uncertain)s::uuid[], claim)]
    WHERE event_id = ANY (%(uncertain_events)s) AND claim = ANY (%(uncertain)s) AND state IN ('claimed', 'uncertain')
    RETURNING claim, doubts
), released AS (
    UPDATE effects SET state = 'released', claimed_until = now()
    WHERE event_id = ANY (%(released_events)s) AND claim = ANY (%(released)s) AND state = 'claimed'
)
SELECT * FROM done UNION ALL SELECT * FROM uncertain
"""

CONFIRM: LiteralString = """
-- Record as done what an operator says has happened, whatever the ledger knows. An attempt that holds a claim of it may
-- still record a success, and nothing else. An effect that the ledger doesn't know gets a row too: the ledger may have
-- been restored from a backup. Sorted, as in CLAIM.
INSERT INTO effects (event_id, subscription, state, claim, claimed_until, generation, done_at)
SELECT event_id, subscription, 'done', gen_random_uuid(), now(), 0, now()
FROM (SELECT DISTINCT event_id, subscription FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[])
    AS given (event_id, subscription)) AS confirmed
ORDER BY event_id, subscription
ON CONFLICT (event_id, subscription) DO UPDATE SET state = 'done', done_at = now() WHERE effects.state <> 'done'
"""
