-- What was seen of a kind of videos is this from now on, if it is still what it was when that was computed from it; of the
-- kinds, those that were told of last are kept. A field: when it was told of, and the text.
-- ARGV: how many kinds are kept, the kind, the text as it was ('' for none), the text that it is. Returns 1 if it is that.

local kinds, kind, key = tonumber(ARGV[1]), ARGV[2], P .. 'seen'
local stored = call('HGET', key, kind)
if (stored and string.match(stored, '^%d+ (.*)$') or '') ~= ARGV[3] then return 0 end
call('HSET', key, kind, string.format('%.0f ', NOW) .. ARGV[4])
while call('HLEN', key) > kinds do
  local oldest, since
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local at = tonumber(string.match(all[i + 1], '^%d+'))
    if not since or at < since then oldest, since = all[i], at end
  end
  call('HDEL', key, oldest)
end
return 1
