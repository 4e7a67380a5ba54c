-- Shared: what became of the slots, by the hour: those used, and why the others were not. The sum is the time that went by
-- since the last one was used, in slots, but for the one slot of credit.
-- In `u<hour>` 'used' is what was granted; 'lost' (with its worker) and 'unsent' are among those, the others are not.

local HOUR = 3600000

local function count(reason, at, amount)
  local key = P .. 'u' .. string.format('%.0f', math.floor(at / HOUR))
  local all = tonumber(call('HINCRBYFLOAT', key, reason, string.format('%.6f', amount)))
  -- The first of its kind may be the first of all.
  if all < amount + 0.5 then call('EXPIRE', key, (K.SLOT_HOURS + 1) * 3600) end
end

-- The slots from `from` to `till` were not used for this reason.
local function unused(reason, from, till, gap)
  from = math.max(from, till - K.SLOT_HOURS * HOUR)
  while from < till do
    local to = math.min(till, (math.floor(from / HOUR) + 1) * HOUR)
    count(reason, from, (to - from) / gap)
    from = to
  end
end

-- Whatever went by until now has its reason: the one that was told since, or none was.
local function account_for(a, slot)
  local gap = spacing(a)
  if a.idle then return unused(a.idle, a.idle_from, EXACT, gap) end
  if a.tat == 0 then return end
  local begun = a.tat + gap
  if slot > begun then
    unused('answers', begun, math.min(slot, EXACT), gap)
    begun = slot
  end
  unused('unasked', begun, EXACT, gap)
end

-- From now on, or once the credit is used up, slots go by for this reason.
local function idle(a, slot, reason)
  if a.idle == reason then return end
  account_for(a, slot)
  local from = string.format('%.3f', math.max(EXACT, a.tat + spacing(a)))
  call('HSET', P .. 'acct', 'idle', reason, 'idle_from', from)
end
