-- These jobs cannot be read by a program that met them. One that it claimed is held by nobody and due again later.
-- ARGV, 4 for each: batch, seq, fence ('' if it was not claimed), why. Returns for each 1 if that is new.
-- Cost: 2 to 6 calls for each.

local out = {}
for i = 1, #ARGV, 4 do
  local n, seq = ARGV[i], ARGV[i + 1]
  local member = n .. ':' .. seq
  local lease = ARGV[i + 2] ~= '' and lease_of(member)
  if lease and lease.fence == ARGV[i + 2] then
    -- As if it had not been claimed.
    if lease.deliveries > 1 then
      set_lease(member, '-', lease.deliveries - 1, lease.lane)
    else
      call('HDEL', P .. 'leases', member)
    end
    call('ZADD', P .. 'd:' .. lease.lane, 'XX', NOW + K.SET_ASIDE, member)
    -- Its call is over by now, and if it was accepted it counts as one in doubt would.
    local stored = call('HGET', part(n, ':s'), seq)
    if stored and string.match(stored, '^%S+ %S+ %S+ submitting ') then
      call('ZADD', P .. 'f', 'XX', 'LT', NOW + K.SOFT_DEADLINE, member)
    end
  end
  out[#out + 1] = note(member, ARGV[i + 3])
end
return out
