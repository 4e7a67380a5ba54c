-- Some of what forgotten batches left behind is removed: first their tasks from the index of tasks, then their keys.
-- Returns 1 if there may be more to do: call again.

local BUCKETS, KEYS_AT_ONCE = 20, 200

local n = call('SRANDMEMBER', P .. 'gone')
if not n then return 0 end
changes()
local b = call('HMGET', part(n, ''), 'buckets', 'admitted', 'cleared_tasks', 'cleared_keys')
local tasks = tonumber(call('HGET', P .. 'meta', 'task_buckets') or 1)

-- A bucket that is split meanwhile gives its entries to one behind all others, which is still to come.
local from = tonumber(b[3] or 0)
if from < tasks then
  local last = math.min(from + BUCKETS, tasks) - 1
  for k = from, last do
    local key, gone = P .. 't' .. string.format('%.0f', k), {}
    local all = call('HGETALL', key)
    for i = 1, #all, 2 do
      if place(all[i + 1]) == n then gone[#gone + 1] = all[i] end
    end
    for i = 1, #gone, 500 do call('HDEL', key, unpack(gone, i, math.min(i + 499, #gone))) end
    if gone[1] then call('HINCRBY', P .. 'meta', 'tasks', -#gone) end
  end
  call('HSET', part(n, ''), 'cleared_tasks', last + 1)
  return 1
end

local names, blocks = tonumber(b[1]), math.ceil(tonumber(b[2]) / BLOCK)
local first = tonumber(b[4] or 0)
local last = math.min(first + KEYS_AT_ONCE, math.max(names, blocks)) - 1
for k = first, last do
  local number = string.format('%.0f', k)
  call('UNLINK', part(n, ':i') .. number, part(n, ':c') .. number)
end
call('HSET', part(n, ''), 'cleared_keys', last + 1)
if last + 1 < math.max(names, blocks) then return 1 end
for _, state in ipairs({ 'queued', 'submitting', 'generating', 'upscaling', 'downloading', 'done', 'failed', 'in_doubt',
  'cancelled' }) do
  call('UNLINK', part(n, ':m:' .. state))
end
call('UNLINK', part(n, ''), part(n, ':j'), part(n, ':gone'), part(n, ':q'), part(n, ':r'), part(n, ':u'), part(n, ':z'))
call('SREM', P .. 'gone', n)
return 1
