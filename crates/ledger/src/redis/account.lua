-- The account as it was, and from now on with this pace and cap.
-- ARGV: N, W, cap; '' for what stays. Returns now, N, W, cap, in flight, next slot, and the gate: until, why, credits, closings.

local a = account()
local gate = a.closed and { a.closed, a.why, a.no_credits and 1 or 0, a.closings } or {}
local was = { NOW, a.n, a.w, a.cap, in_flight(), math.ceil(next_slot(a)), gate }
if ARGV[1] ~= '' then call('HSET', P .. 'acct', 'n', ARGV[1], 'w', ARGV[2]) end
if ARGV[3] ~= '' then call('HSET', P .. 'acct', 'cap', ARGV[3]) end
return was
