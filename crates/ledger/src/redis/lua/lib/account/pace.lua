-- The rules of the account, function by function as in Rust (`core/src/account`), under the same names; a test holds them equal.
-- Pure: no redis.call, no clock. `a` is the account's state as `account_state.lua` loads and stores it; absent fields are nil:
-- n, w, cap; tat; low, low_since, peak; closed (until), why, no_credits, closings; troubles; probe, probe_until; idle,
-- idle_from; upgrade_turn; fast, fast_n, fast_was; daily, zone, day_from, day_until, day_spent.
-- Times: ms, and microseconds where the name says so (`now`: microseconds; `tat`, `idle_from` too).

local HOUR_US, SECOND_US = 3600000000, 1000000

local function ms(us) return math.floor(us / 1000) end

local function ceil_ms(us) return math.floor((us + 999) / 1000) end

-- How long an arrival bound is that is known now: a call that arrived `ago` ms ago at the latest.
local function lowered_bound(ago, now) return ms(now) + 1 - ago end

-- How many submissions in W the service is taken to allow now: from 1 to N.
local function allowed(a, now)
  if not a.low then return math.max(a.n, 1) end
  local minutes, step = math.max(ms(now) - a.low_since, 0) / 60000, a.n / K.STEPS
  local near = math.max(a.low, K.CAREFUL_FROM * a.peak)
  local soon = (near - a.low) / step
  local found = near + (minutes - soon) * step / K.CAREFULLY
  if minutes <= soon then found = a.low + minutes * step end
  return math.max(math.min(found, a.n), 1)
end

-- T.
local function spacing_us(a, now) return math.max(math.floor(a.w * 1000 / allowed(a, now)), 1) end

-- Most arrivals that may be younger than W, the next one included.
local function most_young(a, now) return math.floor(allowed(a, now)) end

-- When both rules have a slot; `nth_bound` (ms): the arrival that must be older than W.
local function next_slot_us(a, nth_bound)
  return math.max(a.tat, nth_bound and (nth_bound + a.w) * 1000 or 0)
end

-- Until when a submission waits for its slot; nil: it is free.
local function submission_slot(a, nth_bound, now)
  local slot = next_slot_us(a, nth_bound)
  if now >= slot and ms(now) >= a.upgrade_turn then return nil end
  return math.max(ceil_ms(slot), math.min(a.upgrade_turn, ms(now) + K.UPGRADE_RECHECK))
end

-- Until when an upgrade waits for a slot, which is kept for it; nil: it may take one now, and does.
local function upgrade_slot(a, nth_bound, now)
  local slot, last = next_slot_us(a, nth_bound), a.upgrade_turn - K.UPGRADE_TURN
  if now >= slot then
    if last <= ms(now) then a.upgrade_turn = 0 end
    return nil
  end
  slot = ceil_ms(slot)
  if last > ms(now) then slot = math.max(slot, math.min(last + ceil_ms(spacing_us(a, now)), slot + a.w)) end
  a.upgrade_turn = slot + K.UPGRADE_TURN
  return slot
end

local function arrivals_kept_from(a, now) return ms(now) - a.w - K.ARRIVALS_KEPT end

-- How near the service is: the fastest answers of the last ones.

-- An answer took this many ms; returns how many ms before it its submission arrived, at least.
local function lead(a, took)
  local present, count, before = math.min(a.fast or took, took), a.fast_n + 1, a.fast_was
  a.fast, a.fast_n = present, count
  if count >= K.GENERATION then a.fast, a.fast_n, a.fast_was = nil, 0, present end
  if not before and count < K.ENOUGH then return 0 end
  return math.max(math.min(present, before or present) - K.MARGIN, 0)
end
