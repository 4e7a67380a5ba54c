-- Shared: how much of a lane may be claimed now. Polls are limited for all machines together; saves are not.
-- `polls`, a hash: rate (absent: as the cap needs it), and until when polls are used up, in ms with three decimals.

local function present_poll_rate()
  local rate = call('HGET', P .. 'polls', 'rate')
  return poll_rate(rate and tonumber(rate), tonumber(call('HGET', P .. 'acct', 'cap') or K.CAP))
end

-- How many of `max`, and the bucket they come from (nil: no limit).
local function lane_room(lane, max)
  if lane ~= 'follow' or max == 0 then return max, nil end
  local stored = math.floor(tonumber(call('HGET', P .. 'polls', 'used') or 0) * 1000 + 0.5)
  local now = clock[1] * 1000000 + clock[2]
  local bucket = poll_bucket(stored, present_poll_rate(), now)
  if stored > bucket.used then call('HSET', P .. 'polls', 'used', string.format('%.3f', bucket.used / 1000)) end
  return poll_room(bucket, max, now), bucket
end

-- Takes `count` from it. Returns when a claim is worth while again; 0 if it always is.
local function take_from_bucket(bucket, count)
  if not bucket then return 0 end
  local again = take_polls(bucket, count)
  if count > 0 then call('HSET', P .. 'polls', 'used', string.format('%.3f', bucket.used / 1000)) end
  return again
end
