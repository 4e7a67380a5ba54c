-- Shared: the account's state, loaded for the rules in `account/` and stored again; its arrivals, places and slot counts.
-- `acct`, a hash, holds it; most fields that have their default are absent.

local NOW_US = clock[1] * 1000000 + clock[2]

local READ = {
  number = tonumber,
  -- In the hash: ms with three decimals.
  us = function(text) return math.floor(tonumber(text) * 1000 + 0.5) end,
  flag = function(text) return text == '1' end,
  text = function(text) return text end,
}
local WRITE = {
  number = function(value) return string.format('%.17g', value) end,
  us = function(value) return string.format('%.3f', value / 1000) end,
  flag = function(value) return value and '1' or '0' end,
  text = function(value) return value end,
}

-- Name in the rules, field, how it is written, default, and whether it is written also where it is the default: what a
-- person set does not depend on that.
local STATE = {
  { 'n', 'n', 'number', K.SUBMISSIONS, true }, { 'w', 'w', 'number', K.PER, true }, { 'cap', 'cap', 'number', K.CAP, true },
  { 'tat', 'tat', 'us', 0 }, { 'low', 'low', 'number' }, { 'low_since', 'low_since', 'number', 0 },
  { 'peak', 'peak', 'number', 0 }, { 'closed', 'until', 'number' }, { 'why', 'why', 'text' },
  { 'no_credits', 'no_credits', 'flag', false }, { 'closings', 'closings', 'number', 0 },
  { 'troubles', 'troubles', 'number', 0 }, { 'probe', 'probe', 'text' }, { 'probe_until', 'probe_until', 'number', 0 },
  { 'idle', 'idle', 'text' }, { 'idle_from', 'idle_from', 'us', 0 }, { 'upgrade_turn', 'upgrade_turn', 'number', 0 },
  { 'fast', 'fast', 'number' }, { 'fast_n', 'fast_n', 'number', 0 }, { 'fast_was', 'fast_was', 'number' },
  { 'daily', 'daily', 'number' }, { 'zone', 'zone', 'text' }, { 'day_from', 'day_from', 'number', 0 },
  { 'day_until', 'day_until', 'number', 0 }, { 'day_spent', 'day_spent', 'number', 0 },
}
local FIELDS = {}
for i, field in ipairs(STATE) do FIELDS[i] = field[2] end

-- The state, and what it was when it was loaded.
local function load_account()
  local stored, a, was = call('HMGET', P .. 'acct', unpack(FIELDS)), {}, {}
  for i, field in ipairs(STATE) do
    local value = field[4]
    if stored[i] then value = READ[field[3]](stored[i]) end
    a[field[1]], was[field[1]] = value, value
  end
  return a, was
end

local function store_account(a, was)
  local set, clear = {}, {}
  for _, field in ipairs(STATE) do
    local value = a[field[1]]
    if value ~= was[field[1]] then
      if value == nil or (value == field[4] and not field[5]) then
        clear[#clear + 1] = field[2]
      else
        set[#set + 1], set[#set + 2] = field[2], WRITE[field[3]](value)
      end
    end
  end
  if set[1] then call('HSET', P .. 'acct', unpack(set)) end
  if clear[1] then call('HDEL', P .. 'acct', unpack(clear)) end
end

local after_now = '(' .. string.format('%.0f', NOW)

local function in_flight() return call('ZCOUNT', P .. 'f', after_now, '+inf') end

-- The arrival that must be older than W before the next slot.
local function nth_bound(a)
  local last = most_young(a, NOW_US) - 1
  local nth = call('ZREVRANGE', P .. 'arrivals', last, last, 'WITHSCORES')
  return nth[2] and tonumber(nth[2])
end

-- Slot counts are kept by the hour in `u<hour>`: 'used' is what was granted, 'lost' (with its worker) and 'unsent' are
-- among those, the others are not.
local function add_counts(counts)
  for _, count in ipairs(counts) do
    local key, slots = P .. 'u' .. string.format('%.0f', count[1]), count[3]
    local all = tonumber(call('HINCRBYFLOAT', key, count[2], string.format('%.6f', slots)))
    -- The first of its kind may be the first of all.
    if all < slots + 0.5 then call('EXPIRE', key, (K.SLOT_HOURS + 1) * 3600) end
  end
end

-- A slot of the pace is `token`'s, whose call arrives within `stall`.
local function grant_slot(a, nth, token, stall)
  call('ZREMRANGEBYSCORE', P .. 'arrivals', '-inf', string.format('(%.0f', arrivals_kept_from(a, NOW_US)))
  call('ZADD', P .. 'arrivals', NOW + stall, token)
  add_counts(count_used(a, next_slot_us(a, nth), NOW_US))
  take_slot(a, token, stall, NOW_US)
end

-- The call is granted again and has yet to be made, so its bounds start anew; false if they are over, for then its slot
-- may be another's.
local function expect_again(token, stall)
  local bound = call('ZSCORE', P .. 'arrivals', token)
  if not bound or tonumber(bound) < NOW then return false end
  call('ZADD', P .. 'arrivals', NOW + stall, token)
  local a, was = load_account()
  retry_gate(a, token, stall, NOW_US)
  store_account(a, was)
  return true
end

-- The end of a paid call. `s.arrival` is 'never', 'unknown' or how many ms ago; `s.took`: how long an answered call took.
local function settle_call(s)
  local a, was = load_account()
  if s.arrival == 'never' then
    call('ZREM', P .. 'arrivals', s.token)
    add_counts({ one_slot('unsent', NOW_US) })
  elseif s.arrival ~= 'unknown' then
    local bound = lowered_bound(s.arrival + (s.took and lead(a, s.took) or 0), NOW_US)
    local known = call('ZSCORE', P .. 'arrivals', s.token)
    if known and bound < tonumber(known) then call('ZADD', P .. 'arrivals', 'XX', bound, s.token) end
  end
  settle(a, s.token, s, NOW_US)
  store_account(a, was)
end

-- What a job's attempts may have cost changes by `more`; the attempt was claimed at `claimed` (nil: none is open).
local function charge(more, claimed)
  local a, was = load_account()
  charge_day(a, more, claimed)
  store_account(a, was)
end
