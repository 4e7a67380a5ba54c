-- Each of these changes is made whole, indexes, counters, lease and account with it; or refused, and then not at all.
-- ARGV, 9 for each: batch, seq, version, fence, nonce, due, other facets, body, more (JSON: task, settle, spec); '' or '-' for
-- what is absent. Returns for each: 'ok', the version, and 1 if something can be claimed now that could not before; or
-- why not. Cost: some 10 calls for each, and 6 for each round.
--
-- They are made in rounds of distinct jobs. What a round read of its jobs before its first change is still true at its
-- last one, and what it writes of them at its end meets nothing: so both are done for all at once. What jobs share
-- (counters, account, tasks, ready jobs) is changed on the spot.

changes()
local WIDTH = 9
-- The most frequent change, made short: the holder gives a job back to its lane as it was but for due and body. Nil if
-- it is another one, or must be refused.
local function reschedule(n, seq, member, stored, lease, version, fence, nonce, due, facets, body)
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
    local done = reschedule(n, seq, member, stored, lease, version, fence, nonce, due, facets, body)
    if done then return done end
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
