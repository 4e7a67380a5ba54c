-- The rules of the account: the circuit breaker that refusals of the service close.

local function gate_wait(wait, closings)
  return math.min(wait * 2 ^ math.min(math.max(closings - 1, 0), K.MOST_DOUBLINGS), math.max(K.GATE_MAX, wait))
end

-- Until when the gate lets nothing through, or its one trial is waited for; nil if it is open.
local function closed_until(a, now)
  if not a.closed then return nil end
  local trial = a.probe and math.max(a.closed, a.probe_until) or a.closed
  return trial > ms(now) and trial or nil
end

local function close(a, why, wait, no_credits, now)
  a.closings = (a.closed and a.closings or 0) + 1
  a.closed, a.why, a.no_credits = ms(now) + gate_wait(wait, a.closings), why, no_credits
  a.troubles, a.probe, a.probe_until = 0, nil, 0
  return a.closed
end

local function retry_gate(a, token, stall, now)
  if a.probe == token then a.probe_until = ms(now) + stall end
end

-- The call of `token` ended; `s`: gate ('healthy', 'troubled', 'closed' or 'silent'), why, wait, no_credits, too_many.
local function settle(a, token, s, now)
  local is_probe, is_open = a.probe == token, not a.closed
  if s.gate == 'healthy' then
    a.troubles = 0
    if is_probe then a.closed, a.why, a.no_credits, a.closings = nil, nil, false, 0 end
  elseif s.gate == 'troubled' then
    a.troubles = a.troubles + 1
    if is_probe or (is_open and a.troubles >= K.TROUBLES) then close(a, s.why, s.wait, false, now) end
  elseif s.gate == 'closed' and (is_probe or is_open) then
    local peak = allowed(a, now)
    local till = close(a, s.why, s.wait, s.no_credits, now)
    if s.too_many then a.low, a.low_since, a.peak = math.max(K.LOWER * peak, 1), till, peak end
  end
  if is_probe then a.probe, a.probe_until = nil, 0 end
end

-- Something else than a paid call says that the service takes none for now.
local function report_closed(a, why, wait, now)
  if a.closed and a.closed > ms(now) then return false end
  close(a, why, wait, false, now)
  return true
end

local function report_credits(a, now)
  if a.closed and a.no_credits then a.closed = math.min(ms(now), a.closed) end
end
