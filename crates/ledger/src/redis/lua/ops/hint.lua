-- A hint is replaced, if it still says what it said. In a hash of its kind, by name: when it was put, and the text.
-- ARGV: kind, name, '=' and the text as it was ('' for none), '=' and the text that it is from now on ('' for none).
-- Returns 1, or 0 if it says something else. Constant cost.

local key, name, was, now = P .. ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local stored = call('HGET', key, name)
if (stored and '=' .. string.match(stored, '^%d+ (.*)$') or '') ~= was then return 0 end
if now == '' then
  call('HDEL', key, name)
else
  call('HSET', key, name, string.format('%.0f ', NOW) .. string.sub(now, 2))
end
return 1
