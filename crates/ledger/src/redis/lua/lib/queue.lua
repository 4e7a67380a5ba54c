-- Shared: the queued jobs that may go now, and the batches that have some.
-- A ready job of priority 0 is a bit in its batch's `:q`; one of another priority a member of `:r`, by -priority * 2^32 + seq.
-- Batches with ready jobs are in `run`, by -priority * 2^33 + virtual time; or, if their time has not come, in `asleep`,
-- by when it comes; or, if their budget is used up, in `short`.

local LEVEL, BATCH_LEVEL = 4294967296, 8589934592

local function batch_settings(n)
  local b = call('HMGET', part(n, ''), 'paused', 'cancelling', 'vt', 'weight', 'priority', 'from', 'until', 'budget',
    'credits')
  return {
    held = b[1] or b[2], vt = tonumber(b[3] or 0), weight = tonumber(b[4] or 1), priority = tonumber(b[5] or 0),
    from = tonumber(b[6] or 0), till = tonumber(b[7] or UNLIMITED), budget = b[8] and tonumber(b[8]),
    credits = tonumber(b[9] or 0),
  }
end

-- The virtual time that the batches of a priority have come to.
local function time_of(priority) return priority == 0 and 'vt' or string.format('vt:%d', priority) end

-- Not among the runnable ones until something changes; what it has had is kept.
local function dequeue(n, t)
  local score = call('ZSCORE', P .. 'run', n)
  if score then
    call('HSET', part(n, ''), 'vt', string.format('%.6f', tonumber(score) + t.priority * BATCH_LEVEL))
    call('ZREM', P .. 'run', n)
  end
  call('ZREM', P .. 'asleep', n)
  call('SREM', P .. 'short', n)
end

-- Out of the way until its time comes; if its time is over, until somebody says when the next one is.
local function await_window(n, t)
  dequeue(n, t)
  if t.from < UNLIMITED then
    call('ZADD', P .. 'asleep', string.format('%.0f', t.from > NOW and t.from or UNLIMITED), n)
  end
end

-- Puts a batch among the runnable ones, at the virtual time of those of its priority: it has missed nothing and owes
-- nothing.
local function enter(n)
  local t = batch_settings(n)
  if t.held then return end
  if NOW < t.from or NOW >= t.till then return await_window(n, t) end
  call('ZREM', P .. 'asleep', n)
  call('SREM', P .. 'short', n)
  local all = tonumber(call('HGET', P .. 'meta', time_of(t.priority)) or 0)
  call('ZADD', P .. 'run', 'NX', math.max(t.vt, all) - t.priority * BATCH_LEVEL, n)
end

-- A batch that waits for its budget may have another first job now, or more to spend.
local function reconsider(n)
  if call('SISMEMBER', P .. 'short', n) == 1 then enter(n) end
end

-- Batches whose time has come; so many at most.
local function open_windows()
  for _, n in ipairs(call('ZRANGEBYSCORE', P .. 'asleep', '-inf', NOW, 'LIMIT', 0, K.WOKEN)) do enter(n) end
end

-- Jobs that wait for a price are tried again now: a price may be known, or no budget may need one any more.
local function retry_unpriced()
  call('ZUNIONSTORE', P .. 'unpriced', 1, P .. 'unpriced', 'WEIGHTS', 0)
end

local function ready(n, seq, priority)
  if priority == 0 then
    call('SETBIT', part(n, ':q'), seq, 1)
    local hint = call('HGET', part(n, ''), 'hint')
    local byte = math.floor(seq / 8)
    if hint and byte < tonumber(hint) then call('HSET', part(n, ''), 'hint', byte) end
  else
    call('ZADD', part(n, ':r'), seq - priority * LEVEL, seq)
  end
  enter(n)
end

local function unready(n, seq)
  if call('SETBIT', part(n, ':q'), seq, 0) == 0 then call('ZREM', part(n, ':r'), seq) end
end

-- Moves queued jobs whose time has come to the ready ones; so many at most of those that wait for a time, and of those that
-- wait for a price.
local function promote()
  for _, waiting in ipairs({ P .. 'd:submit', P .. 'unpriced' }) do
    for _, member in ipairs(call('ZRANGEBYSCORE', waiting, '-inf', NOW, 'LIMIT', 0, K.PROMOTED)) do
      local n, seq = place(member)
      -- Each of them has an entry, unless its batch was forgotten.
      local stored = call('HGET', part(n, ':s'), seq)
      local h = stored and head(stored)
      call('ZREM', waiting, member)
      if h and h.state == 'queued' then
        ready(n, seq, tonumber(h.priority))
      end
    end
  end
end

-- The first visible entry of `:r` in a range of scores. Staged jobs of one priority are skipped in one step.
local function first_by_priority(n, published, from, to)
  for _ = 1, 64 do
    local found = call('ZRANGEBYSCORE', part(n, ':r'), from, to, 'WITHSCORES', 'LIMIT', 0, 1)
    if not found[1] then return nil end
    if tonumber(found[1]) < published then
      return tonumber(found[1]), -math.floor(tonumber(found[2]) / LEVEL)
    end
    from = (math.floor(tonumber(found[2]) / LEVEL) + 1) * LEVEL
  end
  return nil
end

-- The next ready job of a batch: sequence and priority.
local function first_ready(n)
  local b = call('HMGET', part(n, ''), 'published', 'hint')
  local published, hint = tonumber(b[1] or 0), tonumber(b[2] or 0)
  local seq, priority = first_by_priority(n, published, '-inf', -1)
  if seq then return seq, priority end
  local bit = call('BITPOS', part(n, ':q'), 1, hint)
  if bit >= 0 then
    local byte = math.floor(math.min(bit, published) / 8)
    if byte > hint then call('HSET', part(n, ''), 'hint', byte) end
    if bit < published then return bit, 0 end
  end
  return first_by_priority(n, published, 0, '+inf')
end
