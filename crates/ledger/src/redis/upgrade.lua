-- Leave for one upgrade call of a job that is held; a slot of the pace where the call counts in it.
-- ARGV: batch, seq, fence, token, stall ('' if it counts in no pace).
-- Returns 'granted'; or 'wait', now, why and until when; or 'lost'.

local token, stall, kept = ARGV[4], tonumber(ARGV[5]), K.UPGRADE_TURN
local held = lease_of(ARGV[1] .. ':' .. ARGV[2])
if not held or held.fence ~= ARGV[3] then return { 'lost' } end
local state = head(call('HGET', part(ARGV[1], ':s'), ARGV[2])).state
if state ~= 'upscaling' and state ~= 'downloading' then return { 'lost' } end
if not stall then return { 'granted' } end

-- As in `grant.lua`, in its order.
local recovers = recovering(stall + 10000)
local bound = call('ZSCORE', P .. 'arrivals', token)
if bound and tonumber(bound) >= NOW then
  expect_again(token, stall)
  return { 'granted' }
end
local a = account()
if recovers then return { 'wait', NOW, 'recovery', recovers } end
local closed = closed_until(a)
if closed then return { 'wait', NOW, 'gate', closed } end
forget_arrivals(a)
local slot = next_slot(a)
if EXACT < slot then
  slot = math.ceil(slot)
  -- Behind those that wait already, or all would come back for the same one; but not far behind, so that who asks too often
  -- keeps submissions waiting for W at most.
  local last = a.upgrade_turn - kept
  if last > NOW then slot = math.max(slot, math.min(math.ceil(last + spacing(a)), slot + a.w)) end
  call('HSET', P .. 'acct', 'upgrade_turn', string.format('%.0f', slot + kept))
  return { 'wait', NOW, 'slot', slot }
end
changes()
take_slot(a, slot, token, stall)
if a.upgrade_turn - kept <= NOW then call('HDEL', P .. 'acct', 'upgrade_turn') end
return { 'granted' }
