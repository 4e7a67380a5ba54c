-- A grant is taken back at once, because the client cannot read what was asked for: as if it had not been granted, but for
-- the job's version. The job waits, as one without a price does. Nothing is changed if somebody else changed it since.
-- ARGV: token, why. Returns 1 if it is new on the list. Constant cost.

changes()
local token = ARGV[1]
local member = call('HGET', P .. 'i', token)
if not member then return 0 end
local n, seq = place(member)
local h, body = head(call('HGET', part(n, ':s'), seq))
-- What the grant set aside; a change since then has another nonce.
local price = string.match(h.nonce, '^p(%d+)$')
if h.state ~= 'submitting' or not price then return 0 end

local a, was = load_account()
take_back_slot(a, token, NOW_US)
charge_day(a, -tonumber(price), tonumber(h.at))
store_account(a, was)
add_counts({ { math.floor(NOW_US / HOUR_US), 'used', -1 } })
call('ZREM', P .. 'arrivals', token)
call('HDEL', P .. 'i', token)
call('HDEL', P .. 'leases', member)
call('ZREM', P .. 'd:follow', member)
call('ZREM', P .. 'f', member)
call('HINCRBY', part(n, ''), 'c:submitting', -1)
call('HINCRBY', part(n, ''), 'c:queued', 1)
call('SETBIT', part(n, ':m:submitting'), seq, 0)
call('SETBIT', part(n, ':m:queued'), seq, 1)
if price ~= '0' then call('HINCRBY', part(n, ''), 'credits', -price) end
local credits = string.format('%.0f', tonumber(h.credits) - tonumber(price))
h.version, h.nonce, h.due, h.token, h.at = h.version + 1, '-', '-', '-', '-'
h.facets = 'queued - ' .. h.priority .. ' - ' .. credits
call('HSET', part(n, ':s'), seq, headed(h, string.sub(call('HGET', part(n, ':s'), seq), body)))
call('ZADD', P .. 'unpriced', NOW + K.SET_ASIDE, member)
return note(member, ARGV[2])
