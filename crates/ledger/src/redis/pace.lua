-- Shared: the account's slots, cap and gate as they are now. Changes nothing. LEDGER-NOTES: spacing with one slot of
-- credit, and a log of arrival bounds of which fewer than N may be younger than W.

-- How many submissions in W the service is taken to allow now: N, or less for a while after it said "too many". It is
-- found again by a twentieth of N a minute up to nine tenths of what was too many, and then fifteen times as carefully.

local function allowance(n, low, since, peak)
  if not low then return n end
  local minutes, step = math.max(0, NOW - since) / 60000, n / K.STEPS
  local near = math.max(low, K.CAREFUL_FROM * peak)
  local soon = (near - low) / step
  if minutes <= soon then return math.min(n, low + minutes * step) end
  return math.min(n, near + (minutes - soon) * step / K.CAREFULLY)
end

local function account()
  local a = call('HMGET', P .. 'acct', 'n', 'w', 'cap', 'tat', 'until', 'why', 'no_credits', 'closings', 'troubles',
    'probe', 'probe_until', 'low', 'low_since', 'peak', 'idle', 'idle_from', 'upgrade_turn')
  local n = tonumber(a[1] or K.SUBMISSIONS)
  return {
    n = n, w = tonumber(a[2] or K.PER), cap = tonumber(a[3] or K.CAP), tat = tonumber(a[4] or 0),
    closed = a[5] and tonumber(a[5]), why = a[6] or '', no_credits = a[7] == '1', closings = tonumber(a[8] or 0),
    troubles = tonumber(a[9] or 0), probe = a[10], probe_until = tonumber(a[11] or 0),
    allowed = math.max(1, allowance(n, a[12] and tonumber(a[12]), tonumber(a[13] or 0), tonumber(a[14] or 0))),
    idle = a[15], idle_from = tonumber(a[16] or 0), upgrade_turn = tonumber(a[17] or 0),
  }
end

local function spacing(a) return a.w / a.allowed end

local after_now = '(' .. string.format('%.0f', NOW)

local function in_flight() return call('ZCOUNT', P .. 'f', after_now, '+inf') end

-- When the next slot is due, to a fraction of a ms; in the past if one is free.
local function next_slot(a)
  local slot, last = a.tat, math.floor(a.allowed) - 1
  local nth = call('ZREVRANGE', P .. 'arrivals', last, last, 'WITHSCORES')
  if nth[2] then slot = math.max(slot, tonumber(nth[2]) + a.w) end
  return slot
end
