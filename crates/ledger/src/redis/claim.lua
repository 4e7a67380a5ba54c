-- Up to `max` due jobs of a lane are leased, each under a fence of its own, and due again when the lease ends.
-- ARGV: lane, max, lease, the fences' random part. Returns now, when the next one is due (0: none), and the jobs.

local lane, till = ARGV[1], NOW + tonumber(ARGV[3])
local key, leases, score = P .. 'd:' .. lane, P .. 'l', string.format('%d', till)
local out, batches, times = {}, {}, {}

local function batch(n)
  batches[n] = { states = part(n, ':s'), jobs = part(n, ':j'), name = call('HGET', part(n, ''), 'name') }
  return batches[n]
end

for i, member in ipairs(call('ZRANGEBYSCORE', key, '-inf', NOW, 'LIMIT', 0, ARGV[2])) do
  local n, seq = place(member)
  local b = batches[n] or batch(n)
  local stored = call('HGET', b.states, seq)
  -- As `head`, but only what is needed here: this is the most frequent script.
  local state, queue, due, body = '', '-', '-', nil
  if stored then state, queue, due, body = string.match(stored, '^%S+ %S+ (%S+) (%S+) (%S+)[^\n]*\n()') end
  if (state == 'submitting' and 'follow' or queue) ~= lane then
    call('ZREM', key, member)
  elseif due ~= '-' and tonumber(due) > NOW then
    -- Its holder is gone, and it was put off meanwhile.
    times[#times + 1], times[#times + 2] = due, member
  else
    local before = call('HGET', leases, member)
    local deliveries = (before and tonumber(string.match(before, ' (%d+) ')) or 0) + 1
    local fence = ARGV[4] .. string.format('%02x', i)
    call('HSET', leases, member, fence .. ' ' .. deliveries .. ' ' .. lane)
    times[#times + 1], times[#times + 2] = score, member
    local job = call('HGET', b.jobs, seq)
    if lane == 'follow' and body <= #stored then job = string.sub(job, 1, string.find(job, '\n', 1, true) - 1) end
    out[#out + 1] = row(n, seq, b.name, job, stored, till, fence, deliveries)
  end
end
if times[1] then call('ZADD', key, unpack(times)) end
return { NOW, tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or 0), out }
