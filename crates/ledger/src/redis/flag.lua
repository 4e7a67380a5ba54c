-- The batch is paused or cancelling, or not any more, and among the runnable ones only if it is neither.
-- ARGV: folded batch, 'paused' or 'cancelling', '1' or '0'. Returns 0 if there is no such batch.

local n = call('HGET', P .. 'batches', ARGV[1])
if not n or call('HGET', part(n, ''), 'published') == '0' then return 0 end
if ARGV[3] == '1' then
  call('HSET', part(n, ''), ARGV[2], 1)
elseif ARGV[2] == 'paused' then
  call('HDEL', part(n, ''), 'paused', 'cancelling')
else
  call('HDEL', part(n, ''), 'cancelling')
end
if may_run(n) then
  enter(n)
else
  local time = call('ZSCORE', P .. 'run', n)
  if time then
    call('HSET', part(n, ''), 'vt', time)
    call('ZREM', P .. 'run', n)
  end
end
return 1
