-- One queued job has an intent and is submitting, with a slot, a place in flight and a lease; or nothing has changed.
-- ARGV: token, lease, stall, '1' if only some batches may go, and then those, folded.
-- Returns 'granted', now, the job and how many replicas the server has; or 'wait', now, why and until when (0: unknown);
-- or 'lost', for a token whose job somebody else follows by now.
-- Cost: constant, some 30 calls; and for each batch or job that has to be passed over, at most MOST_CANDIDATES of them, some more.

local token, lease, stall = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local fence = string.sub(redis.sha1hex('fence ' .. token), 1, 16)

local a, was, nth

local function wait(why, till)
  add_counts(count_idle(a, why, next_slot_us(a, nth), NOW_US))
  store_account(a, was)
  return { 'wait', NOW, why, till or 0 }
end

local function granted(n, seq, job, stored, deliveries)
  local name = call('HGET', part(n, ''), 'name')
  local replicas = tonumber(said('replication', 'connected_slaves') or 0)
  return { 'granted', NOW, row(n, seq, name, job, stored, NOW + lease, fence, deliveries), replicas }
end

-- A call that was granted before the change ends within `stall`; the margin is to tell what became of it.
local recovers = recovering(stall + K.RECOVERY_MARGIN)

-- Asked again: the same grant.
local mine = call('HGET', P .. 'i', token)
if mine then
  local n, seq = place(mine)
  local stored, held = call('HGET', part(n, ':s'), seq), lease_of(mine)
  if head(stored).state ~= 'submitting' or not held or held.fence ~= fence then return { 'lost' } end
  if not expect_again(token, stall) then return { 'lost' } end
  call('ZADD', P .. 'd:follow', NOW + lease, mine)
  return granted(n, seq, call('HGET', part(n, ':j'), seq), stored, held.deliveries)
end

a, was = load_account()
nth = nth_bound(a)
local why, till = blocked(a, recovers, in_flight(), nth, NOW_US)
if why == 'cap' then
  till = tonumber(call('ZRANGEBYSCORE', P .. 'f', after_now, UNLIMITED - 1, 'WITHSCORES', 'LIMIT', 0, 1)[2])
end
if why then return wait(why, till) end

local only, names
if ARGV[4] == '1' then
  only, names = {}, {}
  for i = 5, #ARGV do
    names[#names + 1] = ARGV[i]
    local n = call('HGET', P .. 'names', ARGV[i])
    local time = n and call('ZSCORE', P .. 'run', n)
    if time then only[n] = tonumber(time) end
  end
end

promote()
open_windows()
local found, is_more = next_job(only, a.daily)
if not found then
  if is_more then return wait('work', NOW) end
  return wait(no_job(names))
end
local n, time, t, seq = found.n, found.time, found.t, found.seq
local priority, job, price = found.priority, found.job, found.price
local room = day_room(a, price, NOW)
-- A day that is over is followed by the next once a worker says when that ends.
if room == 'over' then return wait('budget', NOW + K.DAY_WAIT) end
if room == 'full' then return wait('budget', a.day_until) end

local member = n .. ':' .. string.format('%.0f', seq)
local stored = call('HGET', part(n, ':s'), seq)
local h, body = head(stored)
unready(n, seq)
-- Never so; and if it ever were, nothing may be paid for it.
if h.state ~= 'queued' then return wait('work', NOW) end
changes()
call('HINCRBY', part(n, ''), 'c:queued', -1)
call('HINCRBY', part(n, ''), 'c:submitting', 1)
call('SETBIT', part(n, ':m:queued'), seq, 0)
call('SETBIT', part(n, ':m:submitting'), seq, 1)
local credits = string.format('%.0f', tonumber(h.credits) + price)
-- No put has such a nonce: as long as it is there, nobody has changed the job since, and this was set aside for it.
local nonce = 'p' .. string.format('%.0f', price)
h.version, h.nonce, h.due, h.facets = h.version + 1, nonce, '-', 'submitting - ' .. priority .. ' * ' .. credits
h.token, h.at, h.id = token, string.format('%.0f', NOW), id_of(job)
stored = headed(h, body and string.sub(stored, body) or '')
call('HSET', part(n, ':s'), seq, stored)
local before = lease_of(member)
local deliveries = (before and before.deliveries or 0) + 1
set_lease(member, fence, deliveries, 'follow')
call('ZADD', P .. 'd:follow', NOW + lease, member)
call('ZADD', P .. 'f', UNLIMITED, member)
call('HSET', P .. 'i', token, member)
grant_slot(a, nth, token, stall)
charge_day(a, price, NOW)
store_account(a, was)
if price > 0 then call('HINCRBY', part(n, ''), 'credits', string.format('%.0f', price)) end
call('ZADD', P .. 'run', time + 1 / t.weight, n)
local come = time + t.priority * BATCH_LEVEL
if come > tonumber(call('HGET', P .. 'meta', time_of(t.priority)) or 0) then
  call('HSET', P .. 'meta', time_of(t.priority), string.format('%.6f', come))
end
return granted(n, seq, job, stored, deliveries)
