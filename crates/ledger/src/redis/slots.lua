-- What became of the slots of the last hours.
-- ARGV: how many hours, the present one included. Returns reasons and amounts, one after the other; some more than once.

local out = {}
for h = math.floor(NOW / HOUR), math.floor(NOW / HOUR) - tonumber(ARGV[1]) + 1, -1 do
  for _, value in ipairs(call('HGETALL', P .. 'u' .. string.format('%.0f', h))) do out[#out + 1] = value end
end
local a = account()
local from = math.max(a.idle_from, (math.floor(NOW / HOUR) - tonumber(ARGV[1]) + 1) * HOUR)
if a.idle and from < EXACT then
  out[#out + 1] = a.idle
  out[#out + 1] = string.format('%.6f', (EXACT - from) / spacing(a))
end
return out
