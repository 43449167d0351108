"""Which messages a relay looks after. Several publishers share queues and workers in one Redis.

The id of a message begins with its publisher's name and a slash. A relay takes back, finds lost and sweeps two kinds of
message: those of its own publisher, and those that have no relay. A message has no relay if its id names no publisher,
because another program or an older version made it, or if its publisher's epoch has expired. So if a publisher is gone
for good, the relays of others remove what it left behind. If it comes back, its relay finds no epoch, and looks for all
its messages.
"""

from messaging.wire import layout

EPOCH_SECONDS = 86_400
"""How long an epoch outlives the last round of its publisher's relays."""

OURS = f"""
-- The beginning of a script. `ours(id)`: whether the message is of the publisher ARGV[1], or has no relay.
local relayless = {{[ARGV[1]] = true}}
local function ours(id)
    local publisher = id:match('^([a-z0-9-]+)/')
    if not publisher then return true end
    if relayless[publisher] == nil then
        relayless[publisher] = redis.call('EXISTS', '{layout.EPOCH}:' .. publisher) == 0
    end
    return relayless[publisher]
end
"""
