-- Shared: which queued job goes next. Needs `queue.lua` and `unreadable.lua`. `only`: the virtual times of those batches that
-- may go, if only some may.

-- The runnable batch that has had the least.
local function least(only)
  if not only then
    local first = call('ZRANGE', P .. 'run', 0, 0, 'WITHSCORES')
    return first[1], tonumber(first[2])
  end
  local n, time
  for other, at in pairs(only) do
    if not time or at < time or (at == time and tonumber(other) < tonumber(n)) then n, time = other, at end
  end
  return n, time
end

-- What its submission is expected to cost, in thousandths of a credit; nil if nobody knows.
local function price_of(job)
  local class = string.match(job, '^[^\n\31]*\31([^\n]*)')
  local price = class and call('HGET', P .. 'price', class)
  return price and tonumber(price)
end

-- A job that must not be paid for without a price waits until somebody may have set one; and one that is not whole, until
-- somebody made it so.
local function defer(n, seq, priority, job, wait)
  unready(n, seq)
  if job and not call('HGET', part(n, ':s'), seq) then
    local h = head(nil)
    h.facets, h.id = 'queued - ' .. priority .. ' - 0', id_of(job)
    call('HSET', part(n, ':s'), seq, headed(h, ''))
  end
  call('ZADD', P .. 'unpriced', NOW + wait, n .. ':' .. string.format('%.0f', seq))
end

-- The first job of a batch that may be paid for; nil if it has none now, true if it is to be asked again.
local function first_payable(n, time, t, daily)
  if NOW < t.from or NOW >= t.till then
    await_window(n, t)
    return nil
  end
  local seq, priority = first_ready(n)
  if not seq then
    dequeue(n, t)
    return nil
  end
  local job = call('HGET', part(n, ':j'), seq)
  local price = job and expected_price(price_of(job), t.budget or daily)
  if not job then
    defer(n, seq, priority, job, K.SET_ASIDE)
    note(n .. ':' .. string.format('%.0f', seq), 'what was asked for is missing')
    return true
  elseif not price then
    defer(n, seq, priority, job, K.UNPRICED_WAIT)
    return true
  elseif is_over_budget(t.budget, t.credits, price) then
    dequeue(n, t)
    call('SADD', P .. 'short', n)
    return nil
  end
  return { n = n, time = time, t = t, seq = seq, priority = priority, job = job, price = price }
end

-- The job that goes next; or nil, and whether there may be one all the same.
local function next_job(only, daily)
  for _ = 1, K.MOST_CANDIDATES do
    local n, time = least(only)
    if not n then return nil, false end
    local found = first_payable(n, time, batch_settings(n), daily)
    if type(found) == 'table' then return found end
    if only and not found then only[n] = nil end
  end
  return nil, true
end

-- Why no batch (of those named, if some are) has a job that may go, and until when.
local function no_job(names)
  local function has(set, ask)
    if not names then return call(set == 'short' and 'SCARD' or 'ZCARD', P .. set) > 0 end
    for _, name in ipairs(names) do
      local n = call('HGET', P .. 'names', name)
      local found = n and call(ask, P .. set, n)
      if found and found ~= 0 then return true end
    end
    return false
  end
  local till = tonumber(call('ZRANGE', P .. 'd:submit', 0, 0, 'WITHSCORES')[2] or 0)
  local unpriced = tonumber(call('ZRANGE', P .. 'unpriced', 0, 0, 'WITHSCORES')[2] or 0)
  if unpriced > 0 and (till == 0 or unpriced < till) then till = unpriced end
  local below = '(' .. string.format('%.0f', UNLIMITED)
  local first = call('ZRANGEBYSCORE', P .. 'asleep', '-inf', below, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] and (till == 0 or tonumber(first[2]) < till) then till = tonumber(first[2]) end
  if has('short', 'SISMEMBER') then return 'budget', till end
  if has('asleep', 'ZSCORE') then return 'window', till end
  return 'work', till
end
