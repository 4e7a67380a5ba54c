-- Calls the rules of the account as a test asks. ARGV: JSON of a list of cases { f, a, args }. Returns for each the
-- results, then the state after the call, as pairs of a name and a value's text ('n' number, 's' text, 'b' flag, in front).

local function text(value)
  if type(value) == 'number' then return 'n' .. string.format('%.17g', value) end
  if type(value) == 'boolean' then return 'b' .. tostring(value) end
  return 's' .. value
end

local RULES = {
  allowed = allowed, spacing_us = spacing_us, most_young = most_young, next_slot_us = next_slot_us, blocked = blocked,
  take_slot = take_slot, take_back_slot = take_back_slot, upgrade_slot = upgrade_slot, closed_until = closed_until,
  retry_gate = retry_gate, report_closed = report_closed, report_credits = report_credits, lead = lead,
  arrivals_kept_from = arrivals_kept_from, set_daily = set_daily, clear_daily = clear_daily, begin_day = begin_day,
  day_room = day_room, charge_day = charge_day,
  settle = function(a, token, gate, why, wait, no_credits, too_many, now)
    return settle(a, token, { gate = gate, why = why, wait = wait, no_credits = no_credits, too_many = too_many }, now)
  end,
  count_used = count_used, count_idle = count_idle, still_idle = still_idle,
  lowered_bound = function(_, ago, now) return lowered_bound(ago, now) end,
  expected_price = function(_, known, has_budget) return expected_price(known, has_budget) end,
  is_over_budget = function(_, budget, spent, price) return is_over_budget(budget, spent, price) end,
  polls = function(_, set, cap, used, max, count, now)
    local rate = poll_rate(set, cap)
    local bucket = poll_bucket(used, rate, now)
    local room = poll_room(bucket, max, now)
    return rate, bucket.used, room, take_polls(bucket, count), bucket.used
  end,
}

local function known(value) if value ~= cjson.null then return value end end

local out = {}
for _, case in ipairs(cjson.decode(ARGV[1])) do
  local a, args, count = {}, {}, #case.args
  for name, value in pairs(case.a) do a[name] = known(value) end
  for i, value in ipairs(case.args) do args[i] = known(value) end
  local results, told = { RULES[case.f](a, unpack(args, 1, count)) }, {}
  for i = 1, 6 do
    local value = results[i]
    if type(value) == 'table' then
      -- Slot counts, or one of them.
      for j, one in ipairs(value) do
        for k, part in ipairs(type(one) == 'table' and one or { one }) do
          told[#told + 1], told[#told + 2] = i .. '.' .. j .. '.' .. k, text(part)
        end
      end
    elseif value ~= nil then
      told[#told + 1], told[#told + 2] = tostring(i), text(value)
    end
  end
  for name, value in pairs(a) do told[#told + 1], told[#told + 2] = name, text(value) end
  out[#out + 1] = told
end
return out
