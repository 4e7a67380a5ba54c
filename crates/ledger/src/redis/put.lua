-- Each of these changes is made whole, indexes, sums, lease and account with it; or refused, and then not at all.
-- ARGV, 13 for each: batch, seq, version, fence, nonce, state, lane, due, priority, flight, body, task, settle (JSON);
-- '' or '-' for what is absent. Returns for each: 'ok', the version, and 1 if something can be claimed now that could
-- not before; or why not.

-- The state's count and bitmap.
local function move(n, seq, from, to)
  if from == to then return end
  call('HINCRBY', part(n, ''), 'c:' .. from, -1)
  call('HINCRBY', part(n, ''), 'c:' .. to, 1)
  call('SETBIT', part(n, ':m:' .. from), seq, 0)
  call('SETBIT', part(n, ':m:' .. to), seq, 1)
end

-- The place in the queue. `kept`: a lease goes on, and with it the time at which it ends.
local function requeue(n, seq, member, old, new, kept)
  if old.state == 'queued' then unready(n, seq) end
  local from, to = lane_of(old), lane_of(new)
  if from ~= '-' and from ~= to then call('ZREM', P .. 'd:' .. from, member) end
  if to ~= '-' and not kept then call('ZADD', P .. 'd:' .. to, new.due == '-' and NOW or new.due, member) end
  if new.state == 'queued' and to == '-' then ready(n, seq, new.priority) end
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

local function put(n, seq, version, fence, new, body, task, settled)
  local member = n .. ':' .. seq
  local states = part(n, ':s')
  local stored = call('HGET', states, seq)
  local old = head(stored)
  if not stored and tonumber(seq) >= tonumber(call('HGET', part(n, ''), 'published') or 0) then return { 'changed' } end
  if old.nonce == new.nonce then return { 'ok', old.version, 0 } end
  local lease = lease_of(member)
  if fence ~= '' and (not lease or lease.fence ~= fence) then return { 'lost' } end
  if old.version ~= tonumber(version) then return { 'changed' } end
  if new.state == 'submitting' and old.state ~= 'submitting' then return { 'changed' } end
  if task ~= '' then
    local owner = task_owner(task)
    if owner and owner ~= member then
      local by, at = place(owner)
      return { 'taken', call('HGET', part(by, ''), 'name'), call('HGET', part(by, ':j'), at) }
    end
    own_task(task, member)
  end
  new.version = old.version + 1
  local kept = fence == '' and leased_until(member, lease) > 0 and lane_of(new) == lease.lane
  move(n, seq, old.state, new.state)
  requeue(n, seq, member, old, new, kept)
  set_flight(member, old, new)
  set_token(old, new)
  call('HSET', states, seq, headed(new, body))
  if lease and (fence ~= '' or lane_of(new) ~= lease.lane) then call('HDEL', P .. 'l', member) end
  if settled ~= '' then settle(cjson.decode(settled)) end
  local due = not kept and (new.state == 'queued' or (new.due ~= '-' and tonumber(new.due) <= NOW))
  local landed = new.flight == '-' and old.flight ~= '-'
  return { 'ok', new.version, (due or landed or settled ~= '') and 1 or 0 }
end

local results = {}
for i = 1, #ARGV, 13 do
  local new = {
    nonce = ARGV[i + 4], state = ARGV[i + 5], lane = ARGV[i + 6], due = ARGV[i + 7], priority = tonumber(ARGV[i + 8]),
    flight = ARGV[i + 9], token = '-', at = '-',
  }
  results[#results + 1] =
    put(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], new, ARGV[i + 10], ARGV[i + 11], ARGV[i + 12])
end
return results
