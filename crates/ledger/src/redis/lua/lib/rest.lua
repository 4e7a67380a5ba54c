-- Shared: which batches are at rest. A published one is in `live`, or in `rest` by since when.

-- Brings both to what the batch is now. `anew`: if it is at rest, it came to rest now, whatever it was before.
local function note_rest(n, anew)
  local b = call('HMGET', part(n, ''), 'cancelling', 'c:queued', 'c:submitting', 'c:generating', 'c:upscaling',
    'c:downloading', 'c:in_doubt')
  local live = b[1]
  for i = 2, #b do live = live or b[i] and tonumber(b[i]) > 0 end
  if live then
    call('ZREM', P .. 'rest', n)
    call('SADD', P .. 'live', n)
  else
    call('SREM', P .. 'live', n)
    if anew then call('ZADD', P .. 'rest', NOW, n) else call('ZADD', P .. 'rest', 'NX', NOW, n) end
  end
end
