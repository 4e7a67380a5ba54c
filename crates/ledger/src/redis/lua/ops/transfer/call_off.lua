-- An import that has added nothing is off. ARGV: its id. Returns 1. Constant cost.

local m = call('HMGET', P .. 'meta', 'import', 'importing', 'added')
if m[2] and cjson.decode(m[1]).id == ARGV[1] and tonumber(m[3] or 0) == 0 then
  call('HDEL', P .. 'meta', 'import', 'importing', 'added', 'import_copy')
end
return 1
