-- The rules of the account: what became of the slots. Counts are { hour, word, slots }.

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
