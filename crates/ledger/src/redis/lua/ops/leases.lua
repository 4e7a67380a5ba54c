-- Leases that are still held end `lease` from now; or, with a lease of '-', they are given back and the jobs due now.
-- ARGV: lease, then for each: batch, seq, fence. Returns for each 1 if it was held (and, given back, was not submitting).
-- Cost: 2 or 3 calls for each.

local out = {}
for i = 2, #ARGV, 3 do
  local member = ARGV[i] .. ':' .. ARGV[i + 1]
  local held = lease_of(member)
  local mine = held and held.fence == ARGV[i + 2]
  if mine and ARGV[1] == '-' then
    mine = head(call('HGET', part(ARGV[i], ':s'), ARGV[i + 1])).state ~= 'submitting'
    if mine then
      set_lease(member, '-', held.deliveries, held.lane)
      call('ZADD', P .. 'd:' .. held.lane, 'XX', NOW, member)
    end
  elseif mine then
    call('ZADD', P .. 'd:' .. held.lane, 'XX', NOW + tonumber(ARGV[1]), member)
  end
  out[#out + 1] = mine and 1 or 0
end
return out
