-- The rules of the account: what a batch and a day may cost.

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
