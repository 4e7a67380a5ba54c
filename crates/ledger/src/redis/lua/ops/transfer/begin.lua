-- The ledger is the target of an import from now on, and can be used by nothing else.
-- ARGV: the file's digest, the import, '1' if its source could not be marked.
-- Returns 'begun', 'elsewhere' if another file's import has added some, or 'used'; and how many entries there are.
-- Constant cost.

local m = call('HMGET', P .. 'meta', 'import', 'importing', 'added', 'batches', 'bound', 'id', 'moved', 'format')
if m[8] and m[8] ~= '2' then return redis.error_reply('FORMAT ' .. m[8]) end
local added = tonumber(m[3] or 0)
if m[2] and cjson.decode(m[1]).digest == ARGV[1] then
  if ARGV[3] == '1' then call('HSET', P .. 'meta', 'import_copy', 1) end
  return { 'begun', string.format('%.0f', added) }
end
if m[2] and added > 0 then return { 'elsewhere', '0' } end
if m[4] or m[5] or m[6] or m[7] then return { 'used', '0' } end
call('HSET', P .. 'meta', 'import', ARGV[2], 'importing', 1, 'added', 0)
if ARGV[3] == '1' then call('HSET', P .. 'meta', 'import_copy', 1) else call('HDEL', P .. 'meta', 'import_copy') end
return { 'begun', '0' }
