-- How many follow-ups a second are allowed from now on. ARGV: that, or '' for what it is. Returns what it was.

local was = present_poll_rate()
if ARGV[1] ~= '' then
  local moved = call('HGET', P .. 'meta', 'moved')
  if moved then return redis.error_reply('MOVEDTO ' .. moved) end
  call('HSET', P .. 'polls', 'rate', ARGV[1])
end
return was
