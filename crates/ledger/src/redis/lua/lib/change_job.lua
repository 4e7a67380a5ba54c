-- Shared: one change of a job: its indexes, counters, lease and the account. Needs `account_state`, `names`, `queue`, `archive`.
-- What it writes of the job itself waits for the end of the round (see `put.lua`).

local round = {}
-- Batches that may have come to rest, or left it.
local moved = {}

-- Adds to a command that waits for the end of the round.
local function later(command, key, a, b)
  local waits = round[command .. key]
  if not waits then
    waits = { command, key }
    round[command .. key], round[#round + 1] = waits, waits
  end
  waits[#waits + 1] = a
  waits[#waits + 1] = b
end

local function end_round()
  for _, waits in ipairs(round) do call(unpack(waits)) end
  round = {}
end

-- The state's count and bitmap.
local function move(n, seq, from, to)
  if from == to then return end
  call('HINCRBY', part(n, ''), 'c:' .. from, -1)
  call('HINCRBY', part(n, ''), 'c:' .. to, 1)
  call('SETBIT', part(n, ':m:' .. from), seq, 0)
  call('SETBIT', part(n, ':m:' .. to), seq, 1)
end

local function is_over(h) return h.state == 'done' or h.state == 'failed' or h.state == 'cancelled' end

-- Jobs that are over and due all the same are counted: their batch must not be forgotten.
local function is_settled_but_due(h) return h.lane ~= '-' and is_over(h) end

local function count_settled_but_due(n, old, new)
  local was, is = is_settled_but_due(old), is_settled_but_due(new)
  if was ~= is then call('HINCRBY', part(n, ''), 'beside', is and 1 or -1) end
end

-- The place in the queue. `kept`: a lease goes on, and with it the time at which it ends.
local function requeue(n, seq, member, old, new, kept)
  if old.state == 'queued' then
    unready(n, seq)
    call('ZREM', P .. 'unpriced', member)
    reconsider(n)
  end
  local from, to = lane_of(old), lane_of(new)
  if from ~= '-' and from ~= to then later('ZREM', P .. 'd:' .. from, member) end
  if to ~= '-' and not kept then later('ZADD', P .. 'd:' .. to, new.due == '-' and NOW or new.due, member) end
  if new.state == 'queued' and to == '-' then ready(n, seq, tonumber(new.priority)) end
end

local function set_flight(member, old, new)
  if new.flight ~= '-' then
    if old.flight ~= new.flight then
      call('ZADD', P .. 'f', new.flight == '*' and UNLIMITED or new.flight, member)
    end
  elseif old.flight ~= '-' then
    call('ZREM', P .. 'f', member)
  end
end

-- What the batch's attempts may have cost, and those of the day that the attempt was claimed in. What comes back may be
-- enough for a batch that waits for its budget.
local function count_credits(n, old, new)
  if old.credits == new.credits then return end
  local more = string.format('%.0f', tonumber(new.credits) - tonumber(old.credits))
  call('HINCRBY', part(n, ''), 'credits', more)
  if old.at ~= '-' then charge(tonumber(more), tonumber(old.at)) end
  reconsider(n)
end

-- A token is known as long as its attempt is open.
local function set_token(old, new)
  if old.token == '-' then return end
  if new.state == 'submitting' or new.state == 'in_doubt' then
    new.token, new.at = old.token, old.at
  else
    call('HDEL', P .. 'i', old.token)
  end
end

-- The change of a job that is there, under this version and lease.
local function change(n, seq, member, old, lease, held, new, body, more)
  if new.state == 'submitting' and old.state ~= 'submitting' then return { 'changed' } end
  if more.task then
    local owner = owner_of(more.task)
    if owner and owner ~= member then
      local by, at = place(owner)
      return { 'taken', call('HGET', part(by, ''), 'name'), job_of(by, at) }
    end
    call('HSETNX', P .. 't', task_field(more.task), member)
  end
  local kept = not held and leased_until(member, lease) > 0 and lane_of(new) == lease.lane
  move(n, seq, old.state, new.state)
  count_settled_but_due(n, old, new)
  if is_over(old) or is_over(new) then moved[n] = true end
  requeue(n, seq, member, old, new, kept)
  set_flight(member, old, new)
  count_credits(n, old, new)
  set_token(old, new)
  new.version, new.id = old.version + 1, old.id or id_of(call('HGET', part(n, ':j'), seq))
  later('HSET', part(n, ':s'), seq, headed(new, body))
  if more.spec then
    local job = call('HGET', part(n, ':j'), seq)
    -- The id and the price class stay. A compact job has no spec any more.
    if job then later('HSET', part(n, ':j'), seq, string.match(job, '^[^\n]*\n') .. more.spec) end
  end
  if new.state == 'done' then
    call('SETBIT', part(n, ':u'), seq, 1)
    call('ZADD', P .. 'whole', NOW, n)
  elseif old.state == 'done' then
    call('SETBIT', part(n, ':u'), seq, 0)
  end
  if lease and (held or lane_of(new) ~= lease.lane) then later('HDEL', P .. 'leases', member) end
  if more.token then settle_call(more) elseif old.state == 'submitting' and new.state ~= 'submitting' then
    add_counts({ one_slot('lost', NOW_US) })
  end
  local due = not kept and (new.state == 'queued' or (new.due ~= '-' and tonumber(new.due) <= NOW))
  local left_flight = new.flight == '-' and old.flight ~= '-'
  return { 'ok', new.version, (due or left_flight or more.token) and 1 or 0 }
end
