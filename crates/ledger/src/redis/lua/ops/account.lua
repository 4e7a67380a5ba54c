-- The account as it was, and from now on with this pace and cap.
-- ARGV: JSON of what changes: n, w, cap; prices (class → thousandths), and whether they were asked for; daily (false for
-- none): credits, zone; day: zone, from, until; solvent: a gate closed for want of credits may be tried; closes: a gate that
-- lets one through closes: why, wait; joins: fast answers are forgotten; rereads: what could not be read is claimed again now; note: kind, and
-- words to be remembered (none: forgotten). Returns now, N, how many of them are
-- taken to be allowed now (in thousandths), W, cap, in flight, next
-- slot, the gate: until, why, credits, closings; until when nothing is granted because the server may have gone back in
-- time (0: no such time); the daily budget: credits, zone, from, until, spent; the prices; what workers said of
-- themselves: kind, and when and what; and where its jobs were moved ('' if they were not).

local a, was = load_account()
local recovers = tonumber(call('HGET', P .. 'meta', 'recovers') or 0)
local gate = a.closed and { a.closed, a.why or '', a.no_credits and 1 or 0, a.closings } or {}
local day = a.daily and { WRITE.number(a.daily), a.zone, a.day_from, a.day_until, a.day_spent } or {}
local answer = {
  NOW, a.n, math.floor(allowed(a, NOW_US) * 1000), a.w, a.cap, in_flight(), ceil_ms(next_slot_us(a, nth_bound(a))), gate,
  recovers > NOW and recovers or 0, day, call('HGETALL', P .. 'price'), { call('HGETALL', P .. 'notes'), call('HGET', P .. 'meta', 'moved') or '' },
}

local new = cjson.decode(ARGV[1])
if next(new) then
  local moved = call('HGET', P .. 'meta', 'moved')
  if moved then return redis.error_reply('MOVEDTO ' .. moved) end
end
if new.n or new.cap or new.prices or new.daily ~= nil or new.day then changes() end
if new.n then
  a.n, a.w, a.low, a.low_since, a.peak = tonumber(new.n), tonumber(new.w), nil, 0, 0
  call('HSET', P .. 'acct', 'n', new.n, 'w', new.w)
end
if new.solvent then report_credits(a, NOW_US) end
if new.closes then report_closed(a, new.closes.why, tonumber(new.closes.wait), NOW_US) end
if new.joins then a.fast, a.fast_n, a.fast_was = nil, 0, nil end
if new.rereads then
  for _, member in ipairs(call('HKEYS', P .. 'unreadable')) do
    if leased_until(member, lease_of(member)) == 0 then
      for _, waiting in ipairs({ 'd:follow', 'd:save', 'unpriced' }) do
        call('ZADD', P .. waiting, 'XX', 'LT', NOW, member)
      end
    end
  end
end
if new.note and new.note.words then
  call('HSET', P .. 'notes', new.note.kind, string.format('%.0f ', NOW) .. new.note.words)
elseif new.note then
  call('HDEL', P .. 'notes', new.note.kind)
end
if new.cap then
  a.cap = tonumber(new.cap)
  call('HSET', P .. 'acct', 'cap', new.cap)
end
if new.prices and (new.asked or not call('HGET', P .. 'meta', 'priced')) then
  call('DEL', P .. 'price')
  for class, price in pairs(new.prices) do call('HSET', P .. 'price', class, price) end
  if new.asked then call('HSET', P .. 'meta', 'priced', 1) end
  look_for_prices()
  -- The next job of a batch that waits for its budget may be cheap enough now.
  for _, n in ipairs(call('SMEMBERS', P .. 'short')) do enter(n) end
end
if new.daily then
  set_daily(a, tonumber(new.daily.credits), new.daily.zone)
elseif new.daily == false then
  clear_daily(a)
end
if new.daily ~= nil then look_for_prices() end
if new.day then begin_day(a, new.day.zone, tonumber(new.day.from), tonumber(new.day['until']), NOW) end
store_account(a, was)
return answer
