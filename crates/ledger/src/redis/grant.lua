-- One queued job has an intent and is submitting, with a slot, a place in flight and a lease; or nothing has changed.
-- ARGV: token, lease, stall, '1' if only some batches may go, and then those, folded.
-- Returns 'granted', now, the job and how many replicas the server has; or 'wait', now, why and until when (0: unknown);
-- or 'lost', for a token whose job somebody else follows by now.

local token, lease, stall = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local fence = string.sub(redis.sha1hex('fence ' .. token), 1, 16)

local function wait(why, till) return { 'wait', NOW, why, till } end

local function granted(n, seq, job, stored, deliveries)
  local name = call('HGET', part(n, ''), 'name')
  local replicas = tonumber(said('replication', 'connected_slaves') or 0)
  return { 'granted', NOW, row(n, seq, name, job, stored, NOW + lease, fence, deliveries), replicas }
end

-- A call that was granted before the change ends within `stall`; ten seconds more to tell what became of it.
local recovers = recovering(stall + 10000)

-- Asked again: the same grant. The call is yet to be made, so its bounds start anew.
local mine = call('HGET', P .. 'i', token)
if mine then
  local n, seq = place(mine)
  local stored, held = call('HGET', part(n, ':s'), seq), lease_of(mine)
  if head(stored).state ~= 'submitting' or not held or held.fence ~= fence then return { 'lost' } end
  call('ZADD', P .. 'd:follow', NOW + lease, mine)
  call('ZADD', P .. 'log', NOW + stall, token)
  if call('HGET', P .. 'acct', 'probe') == token then call('HSET', P .. 'acct', 'probe_until', NOW + stall) end
  return granted(n, seq, call('HGET', part(n, ':j'), seq), stored, held.deliveries)
end

if recovers then return wait('recovery', recovers) end
local a = account()
if a.closed and NOW < a.closed then return wait('gate', a.closed) end
if a.closed and a.probe and NOW < a.probe_until then return wait('gate', a.probe_until) end
if in_flight() >= a.cap then
  local first = call('ZRANGEBYSCORE', P .. 'f', after_now, UNLIMITED - 1, 'WITHSCORES', 'LIMIT', 0, 1)
  return wait('cap', tonumber(first[2] or 0))
end
-- What no rule looks at any more; the minute is for a rate that is changed to a longer one.
call('ZREMRANGEBYSCORE', P .. 'log', '-inf', NOW - a.w - 60000)
local slot = next_slot(a)
if EXACT < slot then return wait('slot', math.ceil(slot)) end

-- The virtual times of those batches that may go, if only some may.
local only
if ARGV[4] == '1' then
  only = {}
  for i = 5, #ARGV do
    local n = call('HGET', P .. 'batches', ARGV[i])
    local time = n and call('ZSCORE', P .. 'run', n)
    if time then only[n] = tonumber(time) end
  end
end

-- The runnable batch that has had the least.
local function least()
  if not only then
    local first = call('ZRANGE', P .. 'run', 0, 0, 'WITHSCORES')
    return first[1], tonumber(first[2])
  end
  local n, time
  for other, at in pairs(only) do
    if not time or at < time or (at == time and tonumber(other) < tonumber(n)) then n, time = other, at end
  end
  return n, time
end

promote()
local n, time, seq, priority
for _ = 1, 100 do
  n, time = least()
  if not n then break end
  seq, priority = first_ready(n)
  if seq then break end
  call('ZREM', P .. 'run', n)
  call('HSET', part(n, ''), 'vt', time)
  if only then only[n] = nil end
end
if not seq then
  if n then return wait('work', NOW) end
  return wait('work', tonumber(call('ZRANGE', P .. 'd:submit', 0, 0, 'WITHSCORES')[2] or 0))
end

local member = n .. ':' .. string.format('%.0f', seq)
local stored = call('HGET', part(n, ':s'), seq)
local h, body = head(stored)
unready(n, seq)
-- Never so; and if it ever were, nothing may be paid for it.
if h.state ~= 'queued' then return wait('work', NOW) end
call('HINCRBY', part(n, ''), 'c:queued', -1)
call('HINCRBY', part(n, ''), 'c:submitting', 1)
call('SETBIT', part(n, ':m:queued'), seq, 0)
call('SETBIT', part(n, ':m:submitting'), seq, 1)
local job = call('HGET', part(n, ':j'), seq)
h.version, h.nonce, h.due, h.facets = h.version + 1, '-', '-', 'submitting - ' .. priority .. ' *'
h.token, h.at, h.id = token, string.format('%.0f', NOW), id_of(job)
stored = headed(h, body and string.sub(stored, body) or '')
call('HSET', part(n, ':s'), seq, stored)
local before = lease_of(member)
local deliveries = (before and before.deliveries or 0) + 1
set_lease(member, fence, deliveries, 'follow')
call('ZADD', P .. 'd:follow', NOW + lease, member)
call('ZADD', P .. 'f', UNLIMITED, member)
call('HSET', P .. 'i', token, member)
call('ZADD', P .. 'log', NOW + stall, token)
local t = spacing(a)
call('HSET', P .. 'acct', 'tat', string.format('%.3f', math.max(a.tat, EXACT - t) + t))
if a.closed then call('HSET', P .. 'acct', 'probe', token, 'probe_until', NOW + stall) end
call('ZADD', P .. 'run', time + 1, n)
if time > tonumber(call('HGET', P .. 'meta', 'vt') or 0) then call('HSET', P .. 'meta', 'vt', time) end
return granted(n, seq, job, stored, deliveries)
