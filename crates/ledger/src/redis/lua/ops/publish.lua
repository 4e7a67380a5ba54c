-- Everything that the admission staged into these batches is visible and may run; or, if one of them was dropped,
-- nothing is. However many jobs there are, a batch costs the same.
-- ARGV: admission; of a recurring batch's run its folded template, and what that one's schedule has to be and what it is from
-- then on ('' otherwise); folded batches. Returns 'published' or 'dropped'.

changes()
local admission, template, from, to = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local mine, dropped = {}, false
for i = 5, #ARGV do
  local n = call('HGET', P .. 'names', ARGV[i])
  local b = n and call('HMGET', part(n, ''), 'admission', 'drop', 'shown') or {}
  if b[1] == admission and not b[2] then
    mine[#mine + 1] = n
  elseif b[3] ~= admission then
    dropped = true
  end
end
if template ~= '' and mine[1] and not dropped then
  local n = call('HGET', P .. 'names', template)
  local t = n and call('HMGET', part(n, ''), 'schedule', 'paused', 'cancelling', 'c:queued') or {}
  -- Or somebody dealt with this run, or ordered that there are no more.
  if (t[1] or '') ~= from or t[2] == '1' or t[3] == '1' or tonumber(t[4] or 0) == 0 then return 'dropped' end
  call('HSET', part(n, ''), 'schedule', to)
end
if dropped then
  -- Told now: it may stage again.
  for i = 5, #ARGV do call('DEL', P .. 'dead:' .. admission .. ':' .. ARGV[i]) end
  return 'dropped'
end
-- Known before anything can be granted: a server that went back to here is another one.
local server = this_server()
if server then call('HSETNX', P .. 'meta', 'server', server) end
for _, n in ipairs(mine) do
  local b = call('HMGET', part(n, ''), 'admitted', 'published')
  call('HINCRBY', part(n, ''), 'c:queued', tonumber(b[1]) - tonumber(b[2]))
  call('HSET', part(n, ''), 'published', b[1], 'shown', admission)
  call('HDEL', part(n, ''), 'admission', 'at')
  call('UNLINK', part(n, ':z'))
  if b[1] ~= b[2] then enter(n) end
  note_rest(n, false)
end
return 'published'
