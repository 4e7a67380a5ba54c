-- Each of these changes is made whole, indexes, sums, lease and account with it; or refused, and then not at all.
-- ARGV, 9 for each: batch, seq, version, fence, nonce, due, other facets, body, more (JSON: task, settle, spec); '' or '-' for
-- what is absent. Returns for each: 'ok', the version, and 1 if something can be claimed now that could not before; or
-- why not.
--
-- They are made in rounds of distinct jobs. What a round read of its jobs before its first change is still true at its
-- last one, and what it writes of them at its end meets nothing: so both are done for all at once. What jobs share
-- (sums, account, tasks, ready jobs) is changed on the spot.

changes()
local WIDTH = 9
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
local function is_beside(h) return h.lane ~= '-' and is_over(h) end

local function count_beside(n, old, new)
  local was, is = is_beside(old), is_beside(new)
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

local function own_task(task, member)
  local field, key, buckets = task_index(task)
  if find(key, buckets, field) then return end
  local grown = grow(key, buckets, call('HINCRBY', P .. 'meta', 'tasks', 1))
  if grown ~= buckets then call('HSET', P .. 'meta', 'task_buckets', grown) end
  call('HSET', key .. bucket(field, grown, level(grown)), field, member)
end

local function task_owner(task)
  local field, key, buckets = task_index(task)
  return find(key, buckets, field)
end

-- The change of a job that is there, under this version and lease.
local function change(n, seq, member, old, lease, held, new, body, more)
  if new.state == 'submitting' and old.state ~= 'submitting' then return { 'changed' } end
  if more.task then
    local owner = task_owner(more.task)
    if owner and owner ~= member then
      local by, at = place(owner)
      return { 'taken', call('HGET', part(by, ''), 'name'), job_of(by, at) }
    end
    own_task(more.task, member)
  end
  local kept = not held and leased_until(member, lease) > 0 and lane_of(new) == lease.lane
  move(n, seq, old.state, new.state)
  count_beside(n, old, new)
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
  local landed = new.flight == '-' and old.flight ~= '-'
  return { 'ok', new.version, (due or landed or more.token) and 1 or 0 }
end

-- The most frequent change, made short: the holder gives a job back to its lane as it was but for due and body. Nil if
-- it is another one, or must be refused.
local function put_off(n, seq, member, stored, lease, version, fence, nonce, due, facets, body)
  local before, used, same, lane, attempt, id =
    string.match(stored, '^(%S+) (%S+) %S+ (%S+ (%S+) %S+ %S+ %S+) (%S+ %S+)\n([^\n]*)')
  if before ~= version or used == nonce or same ~= facets or attempt ~= '- -' or due == '-' then return nil end
  if string.sub(lease, 1, #fence + 1) ~= fence .. ' ' then return nil end
  version = version + 1
  later('HSET', part(n, ':s'), seq,
    version .. ' ' .. nonce .. ' ' .. due .. ' ' .. facets .. ' - -\n' .. id .. '\n' .. body)
  later('ZADD', P .. 'd:' .. lane, due, member)
  later('HDEL', P .. 'leases', member)
  return { 'ok', version, tonumber(due) <= NOW and 1 or 0 }
end

-- One change, whose arguments begin after ARGV[i].
local function put(i, member, stored, lease)
  local n, seq, version, fence, nonce = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local due, facets, body, more = ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], ARGV[i + 9]
  if stored and lease and more == '' then
    local short = put_off(n, seq, member, stored, lease, version, fence, nonce, due, facets, body)
    if short then return short end
  end
  if not stored then
    if tonumber(seq) >= tonumber(call('HGET', part(n, ''), 'published') or 0) then return { 'changed' } end
    stored = kept_state(n, seq)
  end
  local old = head(stored)
  if old.nonce == nonce then return { 'ok', old.version, 0 } end
  lease = parse_lease(lease)
  if fence ~= '' and (not lease or lease.fence ~= fence) then return { 'lost' } end
  if old.version ~= tonumber(version) then return { 'changed' } end
  local new = { nonce = nonce, due = due, facets = facets, token = '-', at = '-' }
  new.state, new.lane, new.priority, new.flight, new.credits = split(facets)
  return change(n, seq, member, old, lease, fence ~= '', new, body, more == '' and {} or cjson.decode(more))
end

-- Whoever stores a job could read it.
local some_are_unreadable = call('EXISTS', P .. 'unreadable') == 1

local results, last = {}, #ARGV / WIDTH
while #results < last do
  local batches, seqs, members, seen = {}, {}, {}, {}
  for put = #results, last - 1 do
    local n, seq = ARGV[put * WIDTH + 1], ARGV[put * WIDTH + 2]
    local member = n .. ':' .. seq
    if seen[member] then break end
    batches[#batches + 1], seqs[#seqs + 1], members[#members + 1], seen[member] = n, seq, member, true
  end
  local states = fields(':s', batches, seqs)
  local leases = call('HMGET', P .. 'leases', unpack(members))
  for at, member in ipairs(members) do
    local result = put(#results * WIDTH, member, states[at], leases[at])
    if some_are_unreadable and result[1] == 'ok' then call('HDEL', P .. 'unreadable', member) end
    results[#results + 1] = result
  end
  end_round()
end
for n in pairs(moved) do note_rest(n, true) end
return results
