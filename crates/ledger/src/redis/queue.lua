-- Shared: the queued jobs that may go now, and the batches that have some.
-- A ready job of priority 0 is a bit in its batch's `:q`; one of another priority a member of `:r`, by -priority * 2^32 + seq.

local LEVEL = 4294967296

local function may_run(n)
  local b = call('HMGET', part(n, ''), 'paused', 'cancelling', 'vt')
  return not b[1] and not b[2], tonumber(b[3] or 0)
end

-- Puts a batch among the runnable ones, at the virtual time of all: it has missed nothing and owes nothing.
local function enter(n)
  local may, own = may_run(n)
  if not may then return end
  local all = tonumber(call('HGET', P .. 'meta', 'vt') or 0)
  call('ZADD', P .. 'run', 'NX', math.max(own, all), n)
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

-- Moves queued jobs whose time has come to the ready ones; at most 100.
local function promote()
  local due = call('ZRANGEBYSCORE', P .. 'd:submit', '-inf', NOW, 'LIMIT', 0, 100)
  for _, member in ipairs(due) do
    local n, seq = place(member)
    local h = head(call('HGET', part(n, ':s'), seq))
    call('ZREM', P .. 'd:submit', member)
    if h.state == 'queued' then ready(n, seq, tonumber(h.priority)) end
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
