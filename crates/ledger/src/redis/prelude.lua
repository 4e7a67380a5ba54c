-- Shared by every script: the clock, the keys, and how a job's state is read. Changes nothing.
-- KEYS[1] is the tag that all keys begin with; the others are computed from it, and share its slot in a cluster.

local P, call = KEYS[1], redis.call
local clock = call('TIME')
-- In ms; EXACT with its fraction.
local EXACT = clock[1] * 1000 + clock[2] / 1000
local NOW = math.floor(EXACT)
local UNLIMITED = 9007199254740991

-- The key of one part of a batch: '' its hash, ':j' ids and specs, ':s' states, and so on.
local function part(n, name) return P .. 'b' .. n .. name end

-- A member's batch and sequence, as text: Redis takes numbers from Lua slowly.
local function place(member) return string.match(member, '^(%d+):(%d+)$') end

-- What the ledger knows of a job, and the offset of its body; a job without an entry is fresh.
local function head(stored)
  if not stored then
    return { version = 0, nonce = '-', state = 'queued', lane = '-', due = '-', priority = 0, flight = '-', token = '-', at = '-' }
  end
  local version, nonce, state, lane, due, priority, flight, token, at, body =
    string.match(stored, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)\n()')
  return {
    version = tonumber(version), nonce = nonce, state = state, lane = lane, due = due,
    priority = tonumber(priority), flight = flight, token = token, at = at,
  }, body
end

local function headed(h, body)
  return string.format('%d %s %s %s %s %d %s %s %s\n%s',
    h.version, h.nonce, h.state, h.lane, h.due, h.priority, h.flight, h.token, h.at, body)
end

-- The due set that a job is in: one that is submitting is followed.
local function lane_of(h) return h.state == 'submitting' and 'follow' or h.lane end

-- A lease as it was given: fence ('-' once given back), deliveries, lane.
local function lease_of(member)
  local lease = call('HGET', P .. 'l', member)
  if not lease then return nil end
  local fence, deliveries, lane = string.match(lease, '^(%S+) (%d+) (%S+)$')
  return { fence = fence, deliveries = tonumber(deliveries), lane = lane }
end

local function set_lease(member, fence, deliveries, lane)
  call('HSET', P .. 'l', member, fence .. ' ' .. deliveries .. ' ' .. lane)
end

-- Until when a job is leased; 0 if it is not.
local function leased_until(member, lease)
  if not lease or lease.fence == '-' then return 0 end
  local until_ = tonumber(call('ZSCORE', P .. 'd:' .. lease.lane, member) or 0)
  return until_ > NOW and until_ or 0
end

-- A job for the client: place, batch, id and spec, state entry, leased until, fence, deliveries.
local function row(n, seq, name, job, stored, leased, fence, deliveries)
  return { n, seq, name, job, stored or false, leased, fence or '', deliveries or 0 }
end
