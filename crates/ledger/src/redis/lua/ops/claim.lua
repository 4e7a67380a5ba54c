-- Up to `max` due jobs of a lane are leased, each under a fence of its own, and due again when the lease ends.
-- ARGV: lane, max, lease, the fences' random part. Returns now, when the next one may be claimed (0: none), and the jobs.
-- Cost: some 8 calls, one for each batch among the jobs, and one for each job of the save lane.

local lane, till = ARGV[1], NOW + tonumber(ARGV[3])
local key, score = P .. 'd:' .. lane, string.format('%.0f', till)
local allowed, bucket = lane_room(lane, tonumber(ARGV[2]))
local members = call('ZRANGEBYSCORE', key, '-inf', NOW, 'LIMIT', 0, allowed)

local out, names, batches, seqs = {}, {}, {}, {}
for i, member in ipairs(members) do batches[i], seqs[i] = place(member) end
if members[1] then
  local states = fields(':s', batches, seqs)
  local specs = lane == 'save' and fields(':j', batches, seqs) or {}
  local before = call('HMGET', P .. 'leases', unpack(members))
  local leased, times, gone = { 'HSET', P .. 'leases' }, { 'ZADD', key }, { 'ZREM', key }
  for i, member in ipairs(members) do
    local n, stored = batches[i], states[i]
    -- As `head`, but only what is needed here: this is the most frequent script.
    local due, state, queue, body = '-', '', '-', nil
    if stored then due, state, queue, body = string.match(stored, '^%S+ %S+ (%S+) (%S+) (%S+)[^\n]*\n[^\n]*\n()') end
    if stored and not body then
      -- No program of this format wrote that.
      note(member, 'its state reads ' .. string.match(string.sub(stored, 1, 100), '^[^\n]*'))
      times[#times + 1], times[#times + 2] = NOW + K.SET_ASIDE, member
    elseif (state == 'submitting' and 'follow' or queue) ~= lane then
      gone[#gone + 1] = member
    elseif due ~= '-' and tonumber(due) > NOW then
      -- Its holder is gone, and it was put off meanwhile.
      times[#times + 1], times[#times + 2] = due, member
    else
      local deliveries = (before[i] and tonumber(string.match(before[i], ' (%d+) ')) or 0) + 1
      local fence = ARGV[4] .. string.format('%02x', i)
      leased[#leased + 1], leased[#leased + 2] = member, fence .. ' ' .. deliveries .. ' ' .. lane
      times[#times + 1], times[#times + 2] = score, member
      names[n] = names[n] or call('HGET', part(n, ''), 'name')
      local job = specs[i] or body > #stored and call('HGET', part(n, ':j'), seqs[i])
      -- A compact job that is due for a late stray has no spec any more: an empty one says so.
      if lane == 'save' and not job then job = string.match(stored, '\n([^\n]*\n)') end
      out[#out + 1] = row(n, seqs[i], names[n], job, stored, till, fence, deliveries)
    end
  end
  if leased[3] then call(unpack(leased)) end
  if times[3] then call(unpack(times)) end
  if gone[3] then call(unpack(gone)) end
end
-- When the first is due that is not set aside; those that are may be many, and then one of them will do.
local function first_due()
  local last = call('EXISTS', P .. 'unreadable') == 1 and 1000 or 0
  for i = 0, last do
    local first = call('ZRANGE', key, i, i, 'WITHSCORES')
    if not first[1] then return 0 end
    if i == last or call('HEXISTS', P .. 'unreadable', first[1]) == 0 then return tonumber(first[2]) end
  end
end

local next_due = first_due()
local again = take_from_bucket(bucket, #out)
if next_due > 0 and allowed < tonumber(ARGV[2]) then next_due = math.max(next_due, again) end
return { NOW, next_due, out }
