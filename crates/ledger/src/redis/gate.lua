-- Shared: the end of a paid call is known to the account: the bound of its arrival, and what it says of the gate.

local GATE_MAX, TROUBLES, TROUBLE_WAIT = 300000, 3, 10000

local function wait_of(wait, closings)
  return math.min(wait * 2 ^ math.min(math.max(closings - 1, 0), 16), math.max(GATE_MAX, wait))
end

-- Closes the gate, for longer each time in a row. Troubles and the trial start anew.
local function close(a, wait, why, no_credits)
  local closings = a.closings + 1
  call('HSET', P .. 'acct', 'until', NOW + wait_of(wait, closings), 'why', why, 'no_credits', no_credits and '1' or '0',
    'closings', closings)
  call('HDEL', P .. 'acct', 'troubles', 'probe', 'probe_until')
end

-- `arrival` is 'never', 'unknown' or how many ms ago; `gate` is 'healthy', 'troubled', 'closed' or 'silent'.
local function settle(s)
  if s.arrival == 'never' then
    call('ZREM', P .. 'log', s.token)
  elseif s.arrival ~= 'unknown' then
    -- Both times are cut to whole ms; the one more keeps the bound an upper one.
    local known, bound = call('ZSCORE', P .. 'log', s.token), NOW + 1 - s.arrival
    if known and bound < tonumber(known) then call('ZADD', P .. 'log', 'XX', bound, s.token) end
  end
  local a = account()
  local tried = a.probe == s.token
  if tried then call('HDEL', P .. 'acct', 'probe', 'probe_until') end
  if s.gate == 'healthy' then
    call('HDEL', P .. 'acct', 'troubles')
    if tried then call('HDEL', P .. 'acct', 'until', 'why', 'no_credits', 'closings') end
  elseif s.gate == 'closed' then
    -- Others that were under way when it closed tell nothing new.
    if tried or not a.closed then close(a, s.wait, s.why, s.no_credits) end
  elseif s.gate == 'troubled' then
    local troubles = call('HINCRBY', P .. 'acct', 'troubles', 1)
    if tried or (troubles >= TROUBLES and not a.closed) then close(a, TROUBLE_WAIT, s.why, false) end
  end
end
