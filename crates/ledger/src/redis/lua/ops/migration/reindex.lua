-- A part of an index, which format 1 kept in small hashes, goes to the one hash of it. May be repeated.
-- ARGV: the index (':i' of a batch with its number before it, or 't'), the number of the small hash. Returns 1. Cost: its entries.

local key, from = P .. ARGV[1], P .. ARGV[1] .. ARGV[2]
local all = call('HGETALL', from)
for i = 1, #all, 1000 do call('HSET', key, unpack(all, i, math.min(i + 999, #all))) end
call('UNLINK', from)
return 1
