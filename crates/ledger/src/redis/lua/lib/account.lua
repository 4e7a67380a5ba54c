-- The rules of the account, function by function as in Rust (`core/src/account`), under the same names; a test holds them equal.
-- Pure: no redis.call, no clock. `a` is the account's state as `account_state.lua` loads and stores it; absent fields are nil:
-- n, w, cap; tat; low, low_since, peak; closed (until), why, no_credits, closings; troubles; probe, probe_until; idle,
-- idle_from; upgrade_turn; fast, fast_n, fast_was; daily, zone, day_from, day_until, day_spent.
-- Times: ms, and microseconds where the name says so (`now`: microseconds; `tat`, `idle_from` too).

local HOUR_US, SECOND_US = 3600000000, 1000000

local function ms(us) return math.floor(us / 1000) end

local function ceil_ms(us) return math.floor((us + 999) / 1000) end

-- pace

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

-- min_rtt

-- An answer took this many ms; returns how many ms before it its submission arrived, at least.
local function lead(a, took)
  local present, count, before = math.min(a.fast or took, took), a.fast_n + 1, a.fast_was
  a.fast, a.fast_n = present, count
  if count >= K.GENERATION then a.fast, a.fast_n, a.fast_was = nil, 0, present end
  if not before and count < K.ENOUGH then return 0 end
  return math.max(math.min(present, before or present) - K.MARGIN, 0)
end

-- gate

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

-- slots: counts are { hour, word, slots }

local function unused(counts, word, from, till, spacing)
  from = math.max(from, till - K.SLOT_HOURS * HOUR_US)
  while from < till do
    local hour = math.floor(from / HOUR_US)
    local to = math.min(till, (hour + 1) * HOUR_US)
    counts[#counts + 1] = { hour, word, (to - from) / spacing }
    from = to
  end
end

local function one_slot(word, now) return { math.floor(now / HOUR_US), word, 1 } end

local function gone_by(a, slot, now)
  local spacing, counts = spacing_us(a, now), {}
  if a.idle then
    unused(counts, a.idle, a.idle_from, now, spacing)
  elseif a.tat ~= 0 then
    local begun = a.tat + spacing
    unused(counts, 'answers', begun, math.min(slot, now), spacing)
    unused(counts, 'unasked', math.max(begun, slot), now, spacing)
  end
  return counts
end

local function count_used(a, slot, now)
  local counts = gone_by(a, slot, now)
  a.idle, a.idle_from = nil, 0
  counts[#counts + 1] = one_slot('used', now)
  return counts
end

local function count_idle(a, why, slot, now)
  if why == 'slot' or a.idle == why then return {} end
  local counts = gone_by(a, slot, now)
  a.idle, a.idle_from = why, math.max(now, a.tat + spacing_us(a, now))
  return counts
end

local function still_idle(a, first_hour, now)
  local from = math.max(a.idle_from, first_hour * HOUR_US)
  if a.idle and from < now then return { a.idle, (now - from) / spacing_us(a, now) } end
end

-- budget

-- nil: the job must wait for a price, since a budget needs one.
local function expected_price(known, has_budget)
  if not known and has_budget then return nil end
  return known or 0
end

local function is_over_budget(budget, spent, price) return budget and spent + price > budget or false end

local function set_daily(a, credits, zone)
  if not a.daily or a.zone ~= zone then a.day_from, a.day_until, a.day_spent = 0, 0, 0 end
  a.daily, a.zone = credits, zone
end

local function clear_daily(a) a.daily, a.zone, a.day_from, a.day_until, a.day_spent = nil, nil, 0, 0, 0 end

local function begin_day(a, zone, from, till, calendar)
  local is_next = a.daily ~= nil and a.zone == zone and calendar >= a.day_until and till > a.day_until
  if is_next then a.day_from, a.day_until, a.day_spent = from, till, 0 end
  return is_next
end

-- 'fits', 'full' or 'over'.
local function day_room(a, price, calendar)
  if not a.daily then return 'fits' end
  if calendar < a.day_from or calendar >= a.day_until then return 'over' end
  return a.day_spent + price > a.daily and 'full' or 'fits'
end

local function charge_day(a, more, claimed)
  if a.daily and claimed and claimed >= a.day_from then a.day_spent = a.day_spent + more end
end

-- polls

local function poll_rate(set, cap)
  return math.max(set or math.max(math.floor(cap / K.CAP_PER_POLL), K.POLLS_AT_LEAST), 1)
end

local function poll_bucket(used, rate, now)
  return {
    used = math.min(math.max(used, now - SECOND_US), now),
    gap = math.max(math.floor(SECOND_US / math.max(rate, 1)), 1),
  }
end

local function poll_room(bucket, max, now) return math.min(max, math.floor((now - bucket.used) / bucket.gap)) end

local function take_polls(bucket, count)
  bucket.used = bucket.used + count * bucket.gap
  return math.floor((bucket.used + math.max(bucket.gap, K.POLLS_WORTH_WHILE * 1000) + 999) / 1000)
end

-- the one decision

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
