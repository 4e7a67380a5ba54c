-- What became of the slots of the last hours.
-- ARGV: how many hours, the present one included. Returns reasons and amounts, one after the other; some more than once.

local out, hour = {}, math.floor(NOW_US / HOUR_US)
local first = hour - tonumber(ARGV[1]) + 1
for h = hour, first, -1 do
  for _, value in ipairs(call('HGETALL', P .. 'u' .. string.format('%.0f', h))) do out[#out + 1] = value end
end
local idle = still_idle(load_account(), first, NOW_US)
if idle then out[#out + 1], out[#out + 2] = idle[1], string.format('%.6f', idle[2]) end
return out
