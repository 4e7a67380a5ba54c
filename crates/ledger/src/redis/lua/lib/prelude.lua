-- Shared by every script: the clock, the keys, and how a job's state is read. Changes nothing.
-- KEYS[1] is the tag that all keys begin with; the others are computed from it, and share its slot in a cluster.

local P, call = KEYS[1], redis.call
local clock = call('TIME')
-- In ms.
local NOW = math.floor(clock[1] * 1000 + clock[2] / 1000)
local UNLIMITED = 9007199254740991

-- The key of one part of a batch: '' its hash, ':j' ids and specs, ':s' states, and so on.
local function part(n, name) return P .. 'b' .. n .. name end

-- A member's batch and sequence, as text: Redis takes numbers from Lua slowly.
local function place(member) return string.match(member, '^(%d+):(%d+)$') end

-- A job's entry in `:s`: version, nonce and due; its other facets: state, lane, priority, flight, credits (in thousandths);
-- its open attempt: token and since when; then a line with the job's id, and the body. The facets are text that is split only where they change.

local function split(facets) return string.match(facets, '^(%S+) (%S+) (%S+) (%S+) (%S+)') end

-- What an entry says, and the offset of its body; a job without an entry is fresh.
local function head(stored)
  local h, version, nonce, due, facets, token, at, id, body
  if stored then
    version, nonce, due, facets, token, at, id, body =
      string.match(stored, '^(%S+) (%S+) (%S+) (%S+ %S+ %S+ %S+ %S+) (%S+) (%S+)\n([^\n]*)\n()')
    h = { version = tonumber(version), nonce = nonce, due = due, facets = facets, token = token, at = at, id = id }
  else
    h = { version = 0, nonce = '-', due = '-', facets = 'queued - 0 - 0', token = '-', at = '-' }
  end
  h.state, h.lane, h.priority, h.flight, h.credits = split(h.facets)
  return h, body
end

local function headed(h, body)
  return string.format('%d %s %s %s %s %s\n%s\n%s', h.version, h.nonce, h.due, h.facets, h.token, h.at, h.id, body)
end

-- The id in a job's entry in `:j`; what its price depends on stands behind it.
local function id_of(job) return string.match(job, '^[^\n\31]*') end

-- The due set that a job is in: one that is submitting is followed.
local function lane_of(h) return h.state == 'submitting' and 'follow' or h.lane end

-- A lease as it was given: fence ('-' once given back), deliveries, lane.
local function parse_lease(lease)
  if not lease then return nil end
  local fence, deliveries, lane = string.match(lease, '^(%S+) (%d+) (%S+)$')
  return { fence = fence, deliveries = tonumber(deliveries), lane = lane }
end

local function lease_of(member) return parse_lease(call('HGET', P .. 'leases', member)) end

local function set_lease(member, fence, deliveries, lane)
  call('HSET', P .. 'leases', member, fence .. ' ' .. deliveries .. ' ' .. lane)
end

-- Until when a job is leased; 0 if it is not.
local function leased_until(member, lease)
  if not lease or lease.fence == '-' then return 0 end
  local until_ = tonumber(call('ZSCORE', P .. 'd:' .. lease.lane, member) or 0)
  return until_ > NOW and until_ or 0
end

-- A job for the client: place, batch, id and spec (false: not needed), state entry, leased until, fence, deliveries.
local function row(n, seq, name, job, stored, leased, fence, deliveries)
  return { n, seq, name, job or false, stored or false, leased, fence or '', deliveries or 0 }
end
