-- Shared: jobs that a program could not read, in `unreadable`: since when, and why. See `unreadable.rs`.

-- Whether it is new on the list.
local function note(member, why)
  local known = call('HGET', P .. 'unreadable', member)
  local since = known and string.match(known, '^%d+') or string.format('%.0f', NOW)
  call('HSET', P .. 'unreadable', member, since .. ' ' .. why)
  return known and 0 or 1
end
