-- Shared: a slot of the pace is taken for a call that counts in it.

-- Until when the gate lets nothing through, or its one trial is waited for; nil if it is open.
local function closed_until(a)
  if not a.closed then return nil end
  local till = a.probe and math.max(a.closed, a.probe_until) or a.closed
  return NOW < till and till or nil
end

-- What no rule looks at any more; the minute is for a rate that is changed to a longer one.
local function forget_arrivals(a) call('ZREMRANGEBYSCORE', P .. 'arrivals', '-inf', NOW - a.w - K.ARRIVALS_KEPT) end

-- The slot is `token`'s, which may be the one that tries the gate.
local function take_slot(a, slot, token, stall)
  call('ZADD', P .. 'arrivals', NOW + stall, token)
  account_for(a, slot)
  count('used', NOW, 1)
  if a.idle then call('HDEL', P .. 'acct', 'idle', 'idle_from') end
  local gap = spacing(a)
  call('HSET', P .. 'acct', 'tat', string.format('%.3f', math.max(a.tat, EXACT - gap) + gap))
  if a.closed then call('HSET', P .. 'acct', 'probe', token, 'probe_until', NOW + stall) end
end

-- The call is yet to be made, so its bounds start anew.
local function expect_again(token, stall)
  call('ZADD', P .. 'arrivals', NOW + stall, token)
  if call('HGET', P .. 'acct', 'probe') == token then call('HSET', P .. 'acct', 'probe_until', NOW + stall) end
end
