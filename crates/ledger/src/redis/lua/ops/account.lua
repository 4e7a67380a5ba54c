-- The account as it was, and what changes of it from now on.
-- ARGV: JSON of what changes; how many hours of slots are told. JSON: n and w; cap; poll_rate; prices (class → thousandths), and
-- whether they were asked for; daily (false for none): credits, zone; day: zone, from, until; credits_back: a gate closed for
-- want of credits may be tried; close_gate: why, wait; forget_round_trips; retry_unreadable: what could not be read is claimed
-- again now; accept_restored: a copy goes on.
-- Returns now, N, how many of them are taken to be allowed now (in thousandths), W, cap, in flight, next slot; the gate: until,
-- why, credits, closings; until when nothing is granted because the server may have gone back in time (0: no such time); the
-- daily budget: credits, zone, from, until, spent; the prices; and, in one list: what workers said of themselves, where the
-- jobs were moved ('' if they were not), the poll rate, and what became of the slots: reasons and amounts in turn.
-- Cost: constant, and one call for each hour; prices: one call for each class and batch that waits for its budget.

local function slots(hours, a)
  local out, hour = {}, math.floor(NOW_US / HOUR_US)
  local first = hour - hours + 1
  for h = hour, first, -1 do
    for _, value in ipairs(call('HGETALL', P .. 'u' .. string.format('%.0f', h))) do out[#out + 1] = value end
  end
  local idle = hours > 0 and still_idle(a, first, NOW_US)
  if idle then out[#out + 1], out[#out + 2] = idle[1], string.format('%.6f', idle[2]) end
  return out
end

local a, was = load_account()
local m = call('HMGET', P .. 'meta', 'recovers', 'moved')
local recovers, moved = tonumber(m[1] or 0), m[2]
local gate = a.closed and { a.closed, a.why or '', a.no_credits and 1 or 0, a.closings } or {}
local day = a.daily and { WRITE.number(a.daily), a.zone, a.day_from, a.day_until, a.day_spent } or {}
local answer = {
  NOW, a.n, math.floor(allowed(a, NOW_US) * 1000), a.w, a.cap, in_flight(), ceil_ms(next_slot_us(a, nth_bound(a))), gate,
  recovers > NOW and recovers or 0, day, call('HGETALL', P .. 'price'),
  { call('HGETALL', P .. 'notes'), moved or '', present_poll_rate(), slots(tonumber(ARGV[2]), a) },
}

local new = cjson.decode(ARGV[1])
if not next(new) then return answer end
if moved then return redis.error_reply('MOVEDTO ' .. moved) end
if new.n or new.cap or new.prices or new.daily ~= nil or new.day then changes() end
if new.n then
  a.n, a.w, a.low, a.low_since, a.peak = tonumber(new.n), tonumber(new.w), nil, 0, 0
  call('HSET', P .. 'acct', 'n', new.n, 'w', new.w)
end
if new.credits_back then report_credits(a, NOW_US) end
if new.close_gate then report_closed(a, new.close_gate.why, tonumber(new.close_gate.wait), NOW_US) end
if new.forget_round_trips then a.fast, a.fast_n, a.fast_was = nil, 0, nil end
if new.retry_unreadable then
  for _, member in ipairs(call('HKEYS', P .. 'unreadable')) do
    if leased_until(member, lease_of(member)) == 0 then
      for _, waiting in ipairs({ 'd:follow', 'd:save', 'unpriced' }) do
        call('ZADD', P .. waiting, 'XX', 'LT', NOW, member)
      end
    end
  end
end
if new.accept_restored then call('HDEL', P .. 'meta', 'copy') end
if new.poll_rate then call('HSET', P .. 'polls', 'rate', new.poll_rate) end
if new.cap then
  a.cap = tonumber(new.cap)
  call('HSET', P .. 'acct', 'cap', new.cap)
end
if new.prices and (new.asked or not call('HGET', P .. 'meta', 'priced')) then
  call('DEL', P .. 'price')
  for class, price in pairs(new.prices) do call('HSET', P .. 'price', class, price) end
  if new.asked then call('HSET', P .. 'meta', 'priced', 1) end
  retry_unpriced()
  -- The next job of a batch that waits for its budget may be cheap enough now.
  for _, n in ipairs(call('SMEMBERS', P .. 'short')) do enter(n) end
end
if new.daily then
  set_daily(a, tonumber(new.daily.credits), new.daily.zone)
elseif new.daily == false then
  clear_daily(a)
end
if new.daily ~= nil then retry_unpriced() end
if new.day then begin_day(a, new.day.zone, tonumber(new.day.from), tonumber(new.day['until']), NOW) end
store_account(a, was)
return answer
