"""Which messages are a relay's to look after. Several publishers share queues and workers in one Redis.

The id of a message begins with its publisher's name and a slash. A relay takes back, finds lost and sweeps the messages
of its own publisher, and those that have no relay: ids without a publisher, which another program or an older version
has made, and messages of a publisher whose epoch has expired. So what a publisher leaves behind, when it is gone for
good, is removed by the others. If it comes back, the absence of its epoch makes it look for all its messages.
"""

from messaging.wire import layout

EPOCH_SECONDS = 86_400
"""How long an epoch outlives the last round of its publisher's relays."""

OURS = f"""
-- Begins a script. `ours(id)`: whether the message is ARGV[1]'s, or has no relay.
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
