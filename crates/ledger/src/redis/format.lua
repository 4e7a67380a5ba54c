-- Shared by every script of a ledger in use: its format must be the one that this program knows, or nothing is done. A
-- program that is running when a newer one changes the format learns it here. A ledger without a format is a new one.

do
  local format = call('HGET', P .. 'meta', 'format')
  if not format then
    -- Keys of format 1 under other types: whatever still runs with that format stops at them before it changes anything.
    for _, old in ipairs({ 'l', 'log', 'batches' }) do call('SET', P .. old, 'format 2', 'NX') end
    call('HSET', P .. 'meta', 'format', '2')
  elseif format ~= '2' then
    return redis.error_reply('FORMAT ' .. format)
  end
end
