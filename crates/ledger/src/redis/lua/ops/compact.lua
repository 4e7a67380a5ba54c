-- Each of these jobs is compact from now on, if it is done, waits for nothing, and has this version.
-- ARGV, 4 for each: batch, seq, version, body. Returns how many were made compact.
-- Cost: some 5 calls for each job, and 2 for each block of 32.

changes()
local changed, batches, count = {}, {}, 0
for i = 1, #ARGV, 4 do
  local n, seq = ARGV[i], ARGV[i + 1]
  local stored = call('HGET', part(n, ':s'), seq)
  local h = head(stored)
  if stored and h.state == 'done' and h.lane == '-' and h.version == tonumber(ARGV[i + 2]) then
    local b, at, key = block(n, seq)
    local job, before = call('HGET', part(n, ':j'), seq), b[at]
    -- A job without a spec was compact before, and a late change made it whole.
    b[at] = { h.id, job and digest(content_of(job)) or before[2], h.version, ARGV[i + 3], h.credits ~= '0' and h.credits or nil }
    changed[key] = b
    call('HDEL', part(n, ':j'), seq)
    call('HDEL', part(n, ':s'), seq)
    call('SETBIT', part(n, ':u'), seq, 0)
    batches[n] = true
    count = count + 1
  end
end
for key, b in pairs(changed) do call('SET', key, cmsgpack.pack(b)) end
for n in pairs(batches) do
  if call('BITPOS', part(n, ':u'), 1) < 0 then call('ZREM', P .. 'whole', n) end
end
return count
