-- How long videos took: the last ones of each kind, of the kinds that were told of last.
-- ARGV: how many are kept of a kind, how many kinds, then each video's kind and ms. A field: when, and the ms, oldest first.

local keep, kinds, key = tonumber(ARGV[1]), tonumber(ARGV[2]), P .. 'took'
local all = {}
for i = 3, #ARGV, 2 do
  local kind = ARGV[i]
  if not all[kind] then
    all[kind] = {}
    local stored = call('HGET', key, kind) or ''
    for ms in string.gmatch(string.match(stored, ' (.*)') or '', '%S+') do table.insert(all[kind], ms) end
  end
  table.insert(all[kind], ARGV[i + 1])
end
for kind, took in pairs(all) do
  local last = table.concat(took, ' ', math.max(1, #took - keep + 1))
  call('HSET', key, kind, string.format('%.0f ', NOW) .. last)
end
while call('HLEN', key) > kinds do
  local oldest, since
  local stored = call('HGETALL', key)
  for i = 1, #stored, 2 do
    local at = tonumber(string.match(stored[i + 1], '^%d+'))
    if not since or at < since then oldest, since = stored[i], at end
  end
  call('HDEL', key, oldest)
end
return 1
