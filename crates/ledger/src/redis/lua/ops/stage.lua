-- Stores the new ones among these jobs after those that the batch has, beyond `published`, where nothing reads.
-- ARGV: admission, folded batch, batch, timeout; then for each job: folded id, id and spec, priority, the same id and spec
-- as format 1 had them ('' if it is the same), and the digests that a file keeps.
-- Returns 'staged', new, known, the positions of conflicts, and how many of the known are worked at otherwise by what is
-- said now; or 'busy'; 'dropped'; 'again' while it cleans up.
-- Cost: one call for each job and 10 for all; 2 more for a known one. 400 jobs take some 5 ms.

changes()
local admission, folded, timeout = ARGV[1], ARGV[2], tonumber(ARGV[4])
if call('EXISTS', P .. 'dead:' .. admission .. ':' .. folded) == 1 then return { 'dropped' } end
local n = call('HGET', P .. 'names', folded)
if not n then
  n = string.format('%.0f', call('HINCRBY', P .. 'meta', 'batches', 1))
  call('HSET', P .. 'names', folded, n)
  call('HSET', part(n, ''), 'name', ARGV[3], 'created', NOW, 'admitted', 0, 'published', 0)
end
local b = call('HMGET', part(n, ''), 'admission', 'at', 'drop')
if b[1] and b[1] ~= admission then
  if NOW - tonumber(b[2]) <= timeout then return { 'busy' } end
  call('SET', P .. 'dead:' .. b[1] .. ':' .. folded, 1, 'EX', 604800)
  b[3] = '1'
end
call('HSET', part(n, ''), 'admission', admission, 'at', NOW)
if b[3] then
  call('HSET', part(n, ''), 'drop', 1)
  local left, published = drop_staged(n)
  if left > published then return { 'again' } end
  call('HDEL', part(n, ''), 'drop')
end

local sizes = call('HMGET', part(n, ''), 'admitted', 'unsure')
local first, names_key = tonumber(sizes[1]), part(n, ':i')
local seq, known = first, 0
local jobs, names, raised, conflicts, restated = {}, {}, {}, {}, 0
local fresh = {}
for i = 5, #ARGV, 5 do
  local field = name_field(ARGV[i])
  if sizes[2] and is_made(ARGV[i]) and not is_recognized(n, field, ARGV[i + 3], ARGV[i + 4]) then
    conflicts[#conflicts + 1] = (i - 5) / 5
  elseif call('HSETNX', names_key, field, seq) == 1 then
    names[#names + 1] = ARGV[i]
    jobs[#jobs + 1], jobs[#jobs + 2] = seq, ARGV[i + 1]
    fresh[seq] = ARGV[i + 1]
    if ARGV[i + 2] ~= '0' then raised[#raised + 1] = { seq, tonumber(ARGV[i + 2]) } end
    seq = seq + 1
  else
    local other = tonumber(call('HGET', names_key, field))
    local how = fresh[other] and (content_of(fresh[other]) == content_of(ARGV[i + 1]) and 'same' or 'other')
      or compared(n, other, ARGV[i + 1], ARGV[i + 3], ARGV[i + 4])
    if how == 'other' then
      conflicts[#conflicts + 1] = (i - 5) / 5
    else
      known = known + 1
      if how == 'restated' then restated = restated + 1 end
    end
  end
end

-- Sets the bits from..to-1, whole bytes at once.
local function fill(key, from, to)
  while from < to and from % 8 ~= 0 do call('SETBIT', key, from, 1); from = from + 1 end
  local bytes = math.floor((to - from) / 8)
  if bytes > 0 then call('SETRANGE', key, from / 8, string.rep('\255', bytes)) end
  for bit = from + bytes * 8, to - 1 do call('SETBIT', key, bit, 1) end
end

if seq > first then
  call('HSET', part(n, ':j'), unpack(jobs))
  call('RPUSH', part(n, ':z'), unpack(names))
  fill(part(n, ':m:queued'), first, seq)
  fill(part(n, ':q'), first, seq)
  for _, job in ipairs(raised) do
    call('SETBIT', part(n, ':q'), job[1], 0)
    call('ZADD', part(n, ':r'), job[1] - job[2] * LEVEL, job[1])
  end
end
call('HSET', part(n, ''), 'admitted', seq)
return { 'staged', seq - first, known, conflicts, restated }
