-- From here on no program of format 1 changes anything: what it would read first is another type of key.
-- ARGV: who asks. Returns 1, or 0 if somebody else is at it. Constant cost.

if call('GET', P .. 'migration') ~= ARGV[1] then return 0 end
if call('HGET', P .. 'meta', 'format') ~= '1' then return 1 end
for old, new in pairs({ l = 'leases', log = 'arrivals', batches = 'names' }) do
  if call('EXISTS', P .. old) == 1 then call('RENAME', P .. old, P .. new) end
  call('SET', P .. old, 'format 2')
end
local heard = call('HMGET', P .. 'heard', 'submitted', 'at')
if heard[1] then
  call('HSET', P .. 'heard', 'latest', heard[2] .. ' ' .. heard[1])
  call('HDEL', P .. 'heard', 'submitted', 'at')
end
call('HSET', P .. 'meta', 'format', '1>2')
return 1
