-- Shared: how much of a lane may be claimed now. Follow-ups are limited for all machines together (a token bucket that holds
-- a second's worth); the save lane is not. `polls`: rate (none: as the cap needs it), and until when leave was used up.

local function poll_rate()
  local rate = call('HGET', P .. 'polls', 'rate')
  if rate then return tonumber(rate) end
  return math.max(K.POLLS_AT_LEAST, math.floor(tonumber(call('HGET', P .. 'acct', 'cap') or K.CAP) / K.CAP_PER_POLL))
end

-- How many of `max`, and what `take_leave` needs.
local function leave(lane, max)
  if lane ~= 'follow' or max == 0 then return max, nil end
  local gap = 1000 / poll_rate()
  local used = math.max(tonumber(call('HGET', P .. 'polls', 'used') or 0), EXACT - 1000)
  if used > EXACT then
    -- The clock went back. That must neither lift the limit nor stop everything until it is there again.
    used = EXACT
    call('HSET', P .. 'polls', 'used', string.format('%.3f', used))
  end
  return math.min(max, math.floor((EXACT - used) / gap + 0.000001)), { used = used, gap = gap }
end

-- Takes leave for `count`. Returns when there is some again: a twentieth of a second's worth, or one.
local function take_leave(state, count)
  if not state then return 0 end
  local used = state.used + count * state.gap
  if count > 0 then call('HSET', P .. 'polls', 'used', string.format('%.3f', used)) end
  return math.ceil(used + math.max(state.gap, K.POLLS_WORTH_WHILE))
end
