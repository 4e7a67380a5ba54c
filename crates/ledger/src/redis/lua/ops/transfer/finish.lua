-- The ledger can be used from now on. ARGV: the import's id, the import, the ledger's id, how many grants it had ('' if that
-- is not known). Returns 0 if another import is at work. Constant cost.

local m = call('HMGET', P .. 'meta', 'import', 'importing', 'import_copy')
if not m[1] or cjson.decode(m[1]).id ~= ARGV[1] then return 0 end
if not m[2] then return 1 end
call('HSET', P .. 'meta', 'import', ARGV[2], 'id', ARGV[3], 'rested', 1)
if ARGV[4] ~= '' then call('HSET', P .. 'meta', 'grants', ARGV[4]) end
if m[3] then call('HSET', P .. 'meta', 'copy', 1) end
call('HDEL', P .. 'meta', 'importing', 'added', 'import_copy')
-- Known before anything can be granted: a server that went back to here is another one.
local server = this_server()
if server then call('HSETNX', P .. 'meta', 'server', server) end
changes()
return 1
