-- The ledger changes no more, if it has this stamp and nobody works on it.
-- ARGV: stamp, the import's id, the mark, '1' to say only whether it would be made.
-- Returns 'ok', 'changed', 'leased', or 'moved' and where to. Cost: one call for each lease.

local m = call('HMGET', P .. 'meta', 'moved', 'changed')
local before = m[1] and cjson.decode(m[1])
if before and before.import == ARGV[2] then return { 'ok' } end
if before and before.given_up then return { 'moved', m[1] } end
local leases = call('HGETALL', P .. 'leases')
for i = 1, #leases, 2 do
  if leased_until(leases[i], parse_lease(leases[i + 1])) > 0 then return { 'leased' } end
end
if (m[2] or '') ~= ARGV[1] then return { 'changed' } end
if ARGV[4] ~= '1' then call('HSET', P .. 'meta', 'moved', ARGV[3]) end
return { 'ok' }
