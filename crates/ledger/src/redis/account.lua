-- The account as it was, and from now on with this pace and cap.
-- ARGV: N, W, cap; '' for what stays. Returns now, N, W, cap, in flight, next slot, the gate: until, why,
-- credits, closings, and until when nothing is granted because the server may have gone back in time (0: no such time).

local a = account()
local recovers = tonumber(call('HGET', P .. 'meta', 'recovers') or 0)
local gate = a.closed and { a.closed, a.why, a.no_credits and 1 or 0, a.closings } or {}
local was = { NOW, a.n, a.w, a.cap, in_flight(), math.ceil(next_slot(a)), gate, recovers > NOW and recovers or 0 }
if ARGV[1] ~= '' then call('HSET', P .. 'acct', 'n', ARGV[1], 'w', ARGV[2]) end
if ARGV[3] ~= '' then call('HSET', P .. 'acct', 'cap', ARGV[3]) end
return was
