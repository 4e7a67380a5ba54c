-- The batch and its ids are gone, for everybody and at once; what it leaves behind is `clear`'s. However many jobs it
-- has, this costs the same.
-- ARGV: folded batch, timeout of an admission. Returns 'forgotten', 'unknown', 'busy' or 'unsettled'.

changes()
local n = call('HGET', P .. 'names', ARGV[1])
local b = n and call('HMGET', part(n, ''), 'published', 'admission', 'at') or {}
if tonumber(b[1] or 0) == 0 then return 'unknown' end
if b[2] and NOW - tonumber(b[3]) <= tonumber(ARGV[2]) then return 'busy' end
local counts = call('HMGET', part(n, ''), 'c:queued', 'c:submitting', 'c:generating', 'c:upscaling', 'c:downloading',
  'c:in_doubt', 'beside')
for _, count in ipairs(counts) do
  if count and tonumber(count) > 0 then return 'unsettled' end
end
if b[2] then call('SET', P .. 'dead:' .. b[2] .. ':' .. ARGV[1], 1, 'EX', 604800) end
call('HDEL', P .. 'names', ARGV[1])
call('HSET', part(n, ''), 'published', 0)
call('ZREM', P .. 'run', n)
call('ZREM', P .. 'asleep', n)
call('SREM', P .. 'short', n)
call('SREM', P .. 'live', n)
call('ZREM', P .. 'rest', n)
call('ZREM', P .. 'whole', n)
-- Out of the way of whoever would still change a job of it.
if call('EXISTS', part(n, ':s')) == 1 then call('RENAME', part(n, ':s'), part(n, ':gone')) end
call('SADD', P .. 'gone', n)
return 'forgotten'
