-- Whether workers of format 1 are at work. They check the format only when they start, but obey the pause in which a
-- server that may have gone back in time grants nothing.
-- ARGV: who asks, how long the pause lasts from now on, how long no lease must have been taken, how long one lasts.
-- Returns 'format' and the format; 'locked'; or 'watched', a mark that changes with every lease that is taken, 1 if it is
-- certain that none was taken for so long, some jobs that are leased, and until when there was a pause before.
-- Cost: one call for each lease.

local format = call('HGET', P .. 'meta', 'format')
if format ~= '1' then return { 'format', format or '' } end
call('SET', P .. 'migration', ARGV[1], 'NX')
if call('GET', P .. 'migration') ~= ARGV[1] then return { 'locked' } end
call('PEXPIRE', P .. 'migration', 10000)

local before = tonumber(call('HGET', P .. 'meta', 'recovers') or 0)
call('HSET', P .. 'meta', 'recovers', string.format('%.0f', math.max(before, NOW + tonumber(ARGV[2]))))

local since, lasts = NOW - tonumber(ARGV[3]), tonumber(ARGV[4])
-- A claim takes what is due first, and a grant moves the next slot on.
local slot = tonumber(call('HGET', P .. 'acct', 'tat') or 0)
local mark, taken, jobs = string.format('%.3f', slot), slot, {}
local overdue = true
for _, lane in ipairs({ 'follow', 'save' }) do
  local first = call('ZRANGE', P .. 'd:' .. lane, 0, 0, 'WITHSCORES')
  mark = mark .. ' ' .. (first[1] or '-') .. ' ' .. (first[2] or '-')
  if first[2] and tonumber(first[2]) > since then overdue = false end
end
local all = call('HGETALL', P .. 'l')
for i = 1, #all, 2 do
  local lease, member = parse_lease(all[i + 1]), all[i]
  if lease.fence ~= '-' then
    local till = tonumber(call('ZSCORE', P .. 'd:' .. lease.lane, member) or 0)
    taken = math.max(taken, till - lasts)
    mark = redis.sha1hex(mark .. member .. lease.fence .. string.format('%.0f', till))
    if till > NOW and #jobs < 3 then
      local n, seq = place(member)
      jobs[#jobs + 1] = (call('HGET', part(n, ''), 'name') or n) .. '/' .. id_of(call('HGET', part(n, ':j'), seq) or seq)
    end
  end
end
return { 'watched', mark, overdue and taken <= since and 1 or 0, jobs, string.format('%.0f', before) }
