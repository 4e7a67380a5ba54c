-- Leave for one upgrade call of a job that is held; a slot of the pace where the call counts in it.
-- ARGV: batch, seq, fence, token, stall ('' if it counts in no pace).
-- Returns 'granted'; or 'wait', now, why and until when; or 'lost'. Constant cost.

local token, stall = ARGV[4], tonumber(ARGV[5])
local held = lease_of(ARGV[1] .. ':' .. ARGV[2])
if not held or held.fence ~= ARGV[3] then return { 'lost' } end
local state = head(call('HGET', part(ARGV[1], ':s'), ARGV[2])).state
if state ~= 'upscaling' and state ~= 'downloading' then return { 'lost' } end
if not stall then return { 'granted' } end

-- In the order of `blocked`, without the cap.
local recovers = recovering(stall + K.RECOVERY_MARGIN)
if expect_again(token, stall) then return { 'granted' } end
if recovers then return { 'wait', NOW, 'recovery', recovers } end
local a, was = load_account()
local closed = closed_until(a, NOW_US)
if closed then return { 'wait', NOW, 'gate', closed } end
local nth = nth_bound(a)
local slot = upgrade_slot(a, nth, NOW_US)
if not slot then
  changes()
  grant_slot(a, nth, token, stall)
end
store_account(a, was)
if slot then return { 'wait', NOW, 'slot', slot } end
return { 'granted' }
