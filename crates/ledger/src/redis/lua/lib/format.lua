-- Shared by every script of a ledger in use: its format must be the one that this program knows, or nothing is done. A
-- program that is running when a newer one changes the format learns it here. A ledger without a format is a new one. And
-- nothing is done while jobs are being imported.

do
  local m = call('HMGET', P .. 'meta', 'format', 'importing')
  if not m[1] then
    -- Keys of format 1 under other types: whatever still runs with that format stops at them before it changes anything.
    for _, old in ipairs({ 'l', 'log', 'batches' }) do call('SET', P .. old, 'format 2', 'NX') end
    call('HSET', P .. 'meta', 'format', '2')
  elseif m[1] ~= '2' then
    return redis.error_reply('FORMAT ' .. m[1])
  elseif m[2] then
    -- A code alone would be taken for words.
    return redis.error_reply('IMPORTING has not come to its end')
  end
end
