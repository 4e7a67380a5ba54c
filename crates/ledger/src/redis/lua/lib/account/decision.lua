-- The rules of the account: the one decision of a claim, and what it takes.

-- Why nothing may be submitted now, and until when (nil: unknown); nil: a slot is free.
local function blocked(a, recovering_until, in_flight, nth_bound, now)
  if recovering_until then return 'recovery', recovering_until end
  local closed = closed_until(a, now)
  if closed then return 'gate', closed end
  if in_flight >= a.cap then return 'cap', nil end
  local slot = submission_slot(a, nth_bound, now)
  if slot then return 'slot', slot end
end

-- The slot is taken for `token`, whose call arrives within `stall`; it may be the one that tries the gate.
local function take_slot(a, token, stall, now)
  local spacing = spacing_us(a, now)
  a.tat = math.max(a.tat, now - spacing) + spacing
  if a.closed then a.probe, a.probe_until = token, ms(now) + stall end
end

-- The slot that was taken for `token` just now is given back.
local function take_back_slot(a, token, now)
  a.tat = math.max(0, a.tat - spacing_us(a, now))
  if a.probe == token then a.probe, a.probe_until = nil, 0 end
end
