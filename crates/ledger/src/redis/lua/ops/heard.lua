-- A callback was heard, for a submission made at ARGV[1]; that of the latest submission stays.

local submitted, before = tonumber(ARGV[1]), tonumber(call('HGET', P .. 'heard', 'submitted') or 0)
if submitted >= before then
  call('HSET', P .. 'heard', 'submitted', string.format('%.0f', submitted), 'at', string.format('%.0f', NOW))
end
return 1
