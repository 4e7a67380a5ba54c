-- Shared: dropping what an admission staged and did not publish, from the last job backwards, a bounded step a call.
-- What is left in the bitmap of queued jobs lies beyond `published` and is overwritten by the next admission.

local STEP = 200

-- Returns how many jobs are admitted afterwards; more than are published means: call again.
local function drop_staged(n)
  local b = call('HMGET', part(n, ''), 'admitted', 'published')
  local admitted, published = tonumber(b[1]), tonumber(b[2])
  local names = call('RPOP', part(n, ':z'), math.max(1, math.min(STEP, admitted - published))) or {}
  for i, name in ipairs(names) do
    local seq = admitted - i
    call('HDEL', part(n, ':i'), name_field(name))
    call('HDEL', part(n, ':j'), seq)
    unready(n, seq)
  end
  call('HSET', part(n, ''), 'admitted', admitted - #names, 'at', NOW)
  return admitted - #names, published
end
