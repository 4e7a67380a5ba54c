-- Shared: the end of a paid call is known to the account: the bound of its arrival, and what it says of the gate.

local function wait_of(wait, closings)
  return math.min(wait * 2 ^ math.min(math.max(closings - 1, 0), 16), math.max(K.GATE_MAX, wait))
end

-- Closes the gate, for longer each time in a row. Troubles and the trial start anew.
local function close(a, wait, why, no_credits, too_many)
  local closings = a.closings + 1
  local till = NOW + wait_of(wait, closings)
  if too_many then
    call('HSET', P .. 'acct', 'low', string.format('%.6f', math.max(1, K.LOWER * a.allowed)), 'low_since', till,
      'peak', string.format('%.6f', a.allowed))
  end
  call('HSET', P .. 'acct', 'until', till, 'why', why, 'no_credits', no_credits and '1' or '0',
    'closings', closings)
  call('HDEL', P .. 'acct', 'troubles', 'probe', 'probe_until')
end

-- An answer took this many ms; returns how many ms before it its submission arrived, at least. As in `fastest.rs`, where the
-- numbers are explained.
local function lead(took)
  local f = call('HMGET', P .. 'acct', 'fast', 'fast_n', 'fast_was')
  local fast, n, was = math.min(took, tonumber(f[1] or took)), tonumber(f[2] or 0) + 1, f[3] and tonumber(f[3])
  if n < K.GENERATION then
    call('HSET', P .. 'acct', 'fast', fast, 'fast_n', n)
  else
    call('HSET', P .. 'acct', 'fast_was', fast)
    call('HDEL', P .. 'acct', 'fast', 'fast_n')
  end
  if not was and n < K.ENOUGH then return 0 end
  return math.max(0, math.min(fast, was or fast) - K.MARGIN)
end

-- `arrival` is 'never', 'unknown' or how many ms ago, and `took` how long an answered call took; `gate` is 'healthy', 'troubled', 'closed' or 'silent'.
local function settle(s)
  if s.arrival == 'never' then
    call('ZREM', P .. 'arrivals', s.token)
    count('unsent', NOW, 1)
  elseif s.arrival ~= 'unknown' then
    -- Both times are cut to whole ms; the one more keeps the bound an upper one.
    local known, bound = call('ZSCORE', P .. 'arrivals', s.token), NOW + 1 - s.arrival - (s.took and lead(s.took) or 0)
    if known and bound < tonumber(known) then call('ZADD', P .. 'arrivals', 'XX', bound, s.token) end
  end
  local a = account()
  local tried = a.probe == s.token
  if tried then call('HDEL', P .. 'acct', 'probe', 'probe_until') end
  if s.gate == 'healthy' then
    call('HDEL', P .. 'acct', 'troubles')
    if tried then call('HDEL', P .. 'acct', 'until', 'why', 'no_credits', 'closings') end
  elseif s.gate == 'closed' then
    -- Others that were under way when it closed tell nothing new.
    if tried or not a.closed then close(a, s.wait, s.why, s.no_credits, s.too_many) end
  elseif s.gate == 'troubled' then
    local troubles = call('HINCRBY', P .. 'acct', 'troubles', 1)
    if tried or (troubles >= K.TROUBLES and not a.closed) then close(a, s.wait, s.why, false, false) end
  end
end
