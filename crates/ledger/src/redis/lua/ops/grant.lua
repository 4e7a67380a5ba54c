-- One queued job has an intent and is submitting, with a slot, a place in flight and a lease; or nothing has changed.
-- ARGV: token, lease, stall, '1' if only some batches may go, and then those, folded.
-- Returns 'granted', now, the job and how many replicas the server has; or 'wait', now, why and until when (0: unknown);
-- or 'lost', for a token whose job somebody else follows by now.

local UNLIMITED_BELOW = '(' .. string.format('%.0f', UNLIMITED)

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

-- The virtual times of those batches that may go, if only some may.
local only
if ARGV[4] == '1' then
  only = {}
  for i = 5, #ARGV do
    local n = call('HGET', P .. 'names', ARGV[i])
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

-- Why no batch has a job that may go, and until when.
local function nothing()
  local function has(set, ask)
    if not only then return call(set == 'short' and 'SCARD' or 'ZCARD', P .. set) > 0 end
    for i = 5, #ARGV do
      local n = call('HGET', P .. 'names', ARGV[i])
      local found = n and call(ask, P .. set, n)
      if found and found ~= 0 then return true end
    end
    return false
  end
  local till = tonumber(call('ZRANGE', P .. 'd:submit', 0, 0, 'WITHSCORES')[2] or 0)
  local unpriced = tonumber(call('ZRANGE', P .. 'unpriced', 0, 0, 'WITHSCORES')[2] or 0)
  if unpriced > 0 and (till == 0 or unpriced < till) then till = unpriced end
  local first = call('ZRANGEBYSCORE', P .. 'asleep', '-inf', UNLIMITED_BELOW, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] and (till == 0 or tonumber(first[2]) < till) then till = tonumber(first[2]) end
  if has('short', 'SISMEMBER') then return wait('budget', till) end
  if has('asleep', 'ZSCORE') then return wait('window', till) end
  return wait('work', till)
end

-- What its submission is expected to cost, in thousandths of a credit; nil if nobody knows.
local function price_of(job)
  local class = string.match(job, '^[^\n\31]*\31([^\n]*)')
  local price = class and call('HGET', P .. 'price', class)
  return price and tonumber(price)
end

local n, time, t, seq, priority, job, price

-- A job that must not be paid for without a price waits until somebody may have set one; and one that is not whole, until
-- somebody made it so.
local function put_off(n, seq, priority, wait)
  unready(n, seq)
  if job and not call('HGET', part(n, ':s'), seq) then
    local h = head(nil)
    h.facets, h.id = 'queued - ' .. priority .. ' - 0', id_of(job)
    call('HSET', part(n, ':s'), seq, headed(h, ''))
  end
  call('ZADD', P .. 'unpriced', NOW + wait, n .. ':' .. string.format('%.0f', seq))
end

promote()
wake()
for _ = 1, K.LOOKS do
  n, time = least()
  if not n then break end
  t = terms(n)
  local open, found = NOW >= t.from and NOW < t.till, nil
  if open then
    found, priority = first_ready(n)
    if not found then leave(n, t) end
  else
    sleep(n, t)
  end
  if found then
    job = call('HGET', part(n, ':j'), found)
    price = job and expected_price(price_of(job), t.budget or a.daily)
    if not job then
      put_off(n, found, priority, K.SET_ASIDE)
      note(n .. ':' .. string.format('%.0f', found), 'what was asked for is missing')
    elseif not price then
      put_off(n, found, priority, K.UNPRICED_WAIT)
    elseif is_over_budget(t.budget, t.credits, price) then
      leave(n, t)
      call('SADD', P .. 'short', n)
      found = nil
    else
      seq = found
      break
    end
  end
  if only and not found then only[n] = nil end
end
if not seq then
  if n then return wait('work', NOW) end
  return nothing()
end
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
