-- Entries of an import, all or none. ARGV: the import's id, how many entries there are before, how many then; and records:
--   C: count of arguments, command, key, arguments: one command as it is
--   J: batch, seq, folded id, entry in `:j`, entry in `:s`, state, priority if it is ready, lane, due, in flight until, token,
--      id, digest, version, body and credits of what is kept of a dropped content, '1' if it is done and not compact,
--      credits, what `unreadable` says, '1' if it is over and due all the same; '' for what there is not
--   L: batch, seq, second name
--   T: batch, seq, digest of a task
-- Returns 'ok', or 'out' if another import is at work. Cost: 3 to 10 calls for each record.

local m = call('HMGET', P .. 'meta', 'import', 'importing', 'added')
if not m[2] or cjson.decode(m[1]).id ~= ARGV[1] then return 'out' end
local from, to = tonumber(ARGV[2]), tonumber(ARGV[3])
if tonumber(m[3]) >= to then return 'ok' end
if tonumber(m[3]) ~= from then return 'out' end

local counts, credits, came, changed = {}, {}, {}, {}

local function add(all, key, n) all[key] = (all[key] or 0) + n end

local function name(n, seq, field) call('HSET', part(n, ':i'), field, seq) end

local function job(i)
  local n, seq, member = ARGV[i + 1], ARGV[i + 2], ARGV[i + 1] .. ':' .. ARGV[i + 2]
  local state, priority, lane = ARGV[i + 6], ARGV[i + 7], ARGV[i + 8]
  name(n, seq, name_field(ARGV[i + 3]))
  if ARGV[i + 4] ~= '' then call('HSET', part(n, ':j'), seq, ARGV[i + 4]) end
  if ARGV[i + 5] ~= '' then call('HSET', part(n, ':s'), seq, ARGV[i + 5]) end
  call('SETBIT', part(n, ':m:' .. state), seq, 1)
  add(counts, n .. ' c:' .. state, 1)
  if priority == '0' then
    call('SETBIT', part(n, ':q'), seq, 1)
  elseif priority ~= '' then
    call('ZADD', part(n, ':r'), tonumber(seq) - tonumber(priority) * LEVEL, seq)
  end
  if priority ~= '' then came[n] = true end
  if lane ~= '' then call('ZADD', P .. 'd:' .. lane, ARGV[i + 9], member) end
  if ARGV[i + 10] ~= '' then call('ZADD', P .. 'f', ARGV[i + 10], member) end
  if ARGV[i + 11] ~= '' then call('HSET', P .. 'i', ARGV[i + 11], member) end
  if ARGV[i + 12] ~= '' then
    local b, at, key = block(n, tonumber(seq))
    local cost = ARGV[i + 16]
    b[at] = { ARGV[i + 12], ARGV[i + 13], tonumber(ARGV[i + 14]), ARGV[i + 15], cost ~= '0' and cost or nil }
    changed[key] = b
  end
  if ARGV[i + 17] == '1' then
    call('SETBIT', part(n, ':u'), seq, 1)
    call('ZADD', P .. 'whole', 'NX', call('ZSCORE', P .. 'rest', n) or NOW, n)
  end
  add(credits, n, tonumber(ARGV[i + 18]))
  if ARGV[i + 19] ~= '' then call('HSET', P .. 'unreadable', member, ARGV[i + 19]) end
  if ARGV[i + 20] == '1' then add(counts, n .. ' beside', 1) end
end

local function task(n, seq, field) call('HSET', P .. 't', field, n .. ':' .. seq) end

local i = 4
while i <= #ARGV do
  local kind = ARGV[i]
  if kind == 'C' then
    local count = tonumber(ARGV[i + 1])
    call(ARGV[i + 2], P .. ARGV[i + 3], unpack(ARGV, i + 4, i + 3 + count))
    i = i + 4 + count
  elseif kind == 'J' then
    job(i)
    i = i + 21
  elseif kind == 'L' then
    name(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    i = i + 4
  else
    task(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    i = i + 4
  end
end
for key, b in pairs(changed) do call('SET', key, cmsgpack.pack(b)) end
for key, count in pairs(counts) do
  local n, field = string.match(key, '^(%S+) (%S+)$')
  call('HINCRBY', part(n, ''), field, count)
end
for n, sum in pairs(credits) do
  if sum ~= 0 then call('HINCRBY', part(n, ''), 'credits', string.format('%.0f', sum)) end
end
for n in pairs(came) do enter(n) end
call('HSET', P .. 'meta', 'added', string.format('%.0f', to))
return 'ok'
