-- Some of what forgotten batches left behind is removed: first their tasks from the index of tasks, then their keys.
-- Returns 1 if there may be more to do: call again. Cost: a bounded step.

local TASKS_AT_ONCE, KEYS_AT_ONCE = 1000, 200

local n = call('SRANDMEMBER', P .. 'gone')
if not n then return 0 end
changes()
local b = call('HMGET', part(n, ''), 'admitted', 'cleared_tasks', 'cleared_keys')

-- The cursor of the walk through all tasks; 'all' once it came to its end.
local cursor = b[2] or '0'
if cursor ~= 'all' then
  local found, gone = call('HSCAN', P .. 't', cursor, 'COUNT', TASKS_AT_ONCE), {}
  for i = 1, #found[2], 2 do
    if place(found[2][i + 1]) == n then gone[#gone + 1] = found[2][i] end
  end
  for i = 1, #gone, 500 do call('HDEL', P .. 't', unpack(gone, i, math.min(i + 499, #gone))) end
  call('HSET', part(n, ''), 'cleared_tasks', found[1] == '0' and 'all' or found[1])
  return 1
end

local blocks = math.ceil(tonumber(b[1]) / BLOCK)
local first = tonumber(b[3] or 0)
local last = math.min(first + KEYS_AT_ONCE, blocks) - 1
for k = first, last do call('UNLINK', part(n, ':c') .. string.format('%.0f', k)) end
call('HSET', part(n, ''), 'cleared_keys', last + 1)
if last + 1 < blocks then return 1 end
for _, state in ipairs({ 'queued', 'submitting', 'generating', 'upscaling', 'downloading', 'done', 'failed', 'in_doubt',
  'cancelled' }) do
  call('UNLINK', part(n, ':m:' .. state))
end
call('UNLINK', part(n, ''), part(n, ':i'), part(n, ':j'), part(n, ':gone'), part(n, ':q'), part(n, ':r'), part(n, ':u'), part(n, ':z'))
call('SREM', P .. 'gone', n)
return 1
