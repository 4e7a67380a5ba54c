-- Shared by every script that changes something: a ledger whose jobs were moved to another one changes no more.

do
  local moved = call('HGET', P .. 'meta', 'moved')
  if moved then return redis.error_reply('MOVEDTO ' .. moved) end
end
