-- Shared: an index from text to a few digits, kept in hashes so small that Redis stores them packed (about 20 bytes an
-- entry). Linear hashing: when the buckets hold too much on average, one of them is split.

local FILL = 48

local function level(buckets)
  local l = 1
  while l * 2 <= buckets do l = l * 2 end
  return l
end

local function bucket(field, buckets, l)
  local b = tonumber(string.sub(redis.sha1hex(field), 1, 8), 16) % (l * 2)
  if b >= buckets then b = b - l end
  return string.format('%.0f', b)
end

-- Long names are indexed by their digest: packed hashes hold short texts only.
local function short(text)
  if #text > 40 then return '#' .. redis.sha1hex(text) end
  return text
end

local function find(prefix, buckets, field)
  return call('HGET', prefix .. bucket(field, buckets, level(buckets)), field)
end

-- Makes room for `entries` and returns how many buckets there are.
local function grow(prefix, buckets, entries)
  while entries > buckets * FILL do
    local l = level(buckets)
    local from, to = prefix .. string.format('%.0f', buckets - l), prefix .. string.format('%.0f', buckets)
    buckets = buckets + 1
    l = level(buckets)
    local all, moved, gone = call('HGETALL', from), {}, {}
    for i = 1, #all, 2 do
      if prefix .. bucket(all[i], buckets, l) == to then
        moved[#moved + 1], moved[#moved + 2], gone[#gone + 1] = all[i], all[i + 1], all[i]
      end
    end
    for i = 1, #gone, 500 do
      local last = math.min(i + 499, #gone)
      call('HSET', to, unpack(moved, i * 2 - 1, last * 2))
      call('HDEL', from, unpack(gone, i, last))
    end
  end
  return buckets
end

-- The field of a task, and the key and number of buckets of the index of tasks.
local function task_index(task)
  return string.sub(redis.sha1hex(task), 1, 16), P .. 't', tonumber(call('HGET', P .. 'meta', 'task_buckets') or 1)
end
