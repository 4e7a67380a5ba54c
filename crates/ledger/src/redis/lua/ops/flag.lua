-- The batch is paused or cancelling, or not any more, and among the runnable ones only if it is neither.
-- ARGV: folded batch, 'paused' or 'cancelling', '1' or '0', and why, if there is more to say than that a person wanted it.
-- Returns 0 if there is no such batch.

changes()
local n = call('HGET', P .. 'names', ARGV[1])
if not n or call('HGET', part(n, ''), 'published') == '0' then return 0 end
if ARGV[3] == '1' then
  call('HSET', part(n, ''), ARGV[2], 1)
  call('HDEL', part(n, ''), 'why')
  if ARGV[4] ~= '' then call('HSET', part(n, ''), 'why', ARGV[4]) end
elseif ARGV[2] == 'paused' then
  call('HDEL', part(n, ''), 'paused', 'cancelling', 'why')
else
  call('HDEL', part(n, ''), 'cancelling')
end
local t = terms(n)
if t.held then leave(n, t) elseif first_ready(n) then enter(n) end
note_rest(n, false)
return 1
