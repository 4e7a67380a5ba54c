-- Shared: the account's slots, cap and gate as they are now. Changes nothing. LEDGER-NOTES: spacing with one slot of
-- credit, and a log of arrival bounds of which fewer than N may be younger than W.

local function account()
  local a = call('HMGET', P .. 'acct', 'n', 'w', 'cap', 'tat', 'until', 'why', 'no_credits', 'closings', 'troubles',
    'probe', 'probe_until')
  return {
    n = tonumber(a[1] or 20), w = tonumber(a[2] or 10000), cap = tonumber(a[3] or 100), tat = tonumber(a[4] or 0),
    closed = a[5] and tonumber(a[5]), why = a[6] or '', no_credits = a[7] == '1', closings = tonumber(a[8] or 0),
    troubles = tonumber(a[9] or 0), probe = a[10], probe_until = tonumber(a[11] or 0),
  }
end

local function spacing(a) return a.w / math.max(1, a.n) end

local after_now = '(' .. string.format('%.0f', NOW)

local function in_flight() return call('ZCOUNT', P .. 'f', after_now, '+inf') end

-- When the next slot is due, to a fraction of a ms; in the past if one is free.
local function next_slot(a)
  local slot = a.tat
  local nth = call('ZREVRANGE', P .. 'log', math.max(1, a.n) - 1, math.max(1, a.n) - 1, 'WITHSCORES')
  if nth[2] then slot = math.max(slot, tonumber(nth[2]) + a.w) end
  return slot
end
