-- No other import takes over from now on. ARGV: the import's id, the mark. Returns 1; 0 if another one has taken over.
-- Constant cost.

local moved = call('HGET', P .. 'meta', 'moved')
if not moved or cjson.decode(moved).import ~= ARGV[1] then return 0 end
call('HSET', P .. 'meta', 'moved', ARGV[2])
return 1
