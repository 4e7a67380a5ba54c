-- Up to `max` due jobs of a lane are leased, each under a fence of its own, and due again when the lease ends.
-- ARGV: lane, max, lease, the fences' random part. Returns now, when the next one is due (0: none), and the jobs.

local lane, lease = ARGV[1], tonumber(ARGV[3])
local key = P .. 'd:' .. lane
local out, names, times = {}, {}, {}
for i, member in ipairs(call('ZRANGEBYSCORE', key, '-inf', NOW, 'LIMIT', 0, ARGV[2])) do
  local n, seq = place(member)
  local stored = call('HGET', part(n, ':s'), seq)
  -- As `head`, but only what is needed here: this is the most frequent script.
  local state, queue, due, body = '', '-', '-', nil
  if stored then state, queue, due, body = string.match(stored, '^%S+ %S+ (%S+) (%S+) (%S+)[^\n]*\n()') end
  if (state == 'submitting' and 'follow' or queue) ~= lane then
    call('ZREM', key, member)
  elseif due ~= '-' and tonumber(due) > NOW then
    -- Its holder is gone, and it was put off meanwhile.
    times[#times + 1], times[#times + 2] = due, member
  else
    local before = call('HGET', P .. 'l', member)
    local deliveries = (before and tonumber(string.match(before, ' (%d+) ')) or 0) + 1
    local fence = ARGV[4] .. string.format('%02x', i)
    set_lease(member, fence, deliveries, lane)
    times[#times + 1], times[#times + 2] = NOW + lease, member
    names[n] = names[n] or call('HGET', part(n, ''), 'name')
    local job = call('HGET', part(n, ':j'), seq)
    if lane == 'follow' and body <= #stored then job = string.sub(job, 1, string.find(job, '\n', 1, true) - 1) end
    out[#out + 1] = row(n, seq, names[n], job, stored, NOW + lease, fence, deliveries)
  end
end
if times[1] then call('ZADD', key, unpack(times)) end
return { NOW, tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or 0), out }
