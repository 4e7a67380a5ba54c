-- Shared: finished jobs as they are kept once they are compact: without their specs, many packed together in a block.
-- A block is, in MessagePack, place in it → { id, digest of id, class and content, version, body, credits }. Every entry of a hash that is
-- not packed costs 66 bytes beside its content; so does a block, for 32 jobs.

local BLOCK = 32
local blocks = {}

-- The block that a job belongs to (read once in a call), its place in it, and the block's key.
local function block(n, seq)
  local key = part(n, ':c') .. string.format('%.0f', math.floor(seq / BLOCK))
  if not blocks[key] then
    local packed = call('GET', key)
    blocks[key] = packed and cmsgpack.unpack(packed) or {}
  end
  return blocks[key], seq % BLOCK + 1, key
end

local function kept(n, seq)
  local b, at = block(n, seq)
  return b[at]
end

-- What "the same content" is compared by once the content is gone: 64 bits.
local function digest(job)
  local hex = string.sub(redis.sha1hex(job), 1, 16)
  return (string.gsub(hex, '..', function(byte) return string.char(tonumber(byte, 16)) end))
end

-- A job's id and spec; of a job without a spec the id and an empty one.
local function job_of(n, seq)
  local job = call('HGET', part(n, ':j'), seq)
  if job then return job end
  local k = kept(n, seq)
  return k and k[1] .. '\n'
end

-- The state entry of a job that has none in `:s`; nil if it is not compact.
local function kept_state(n, seq)
  local k = kept(n, seq)
  if not k then return nil end
  local h = head(nil)
  h.version, h.facets, h.id = k[3], 'done - 0 - ' .. (k[5] or '0'), k[1]
  return headed(h, k[4])
end

-- A job's entry in `:j` without what its file says of how to work at it, which is in a line behind the content.
local function content_of(job) return string.match(job, '^[^\n]*\n[^\n]*') end

-- Whether an id looks like one that was made from a content (`migration.rs`).
local function is_made(id)
  local base = string.match(id, '^([a-z2-7]+)$') or string.match(id, '^([a-z2-7]+)%-%d+$')
  return base ~= nil and #base == 16
end

-- An entry under the id of a job that is known by a second, made name.
local function under(id, job)
  local name = id_of(job)
  return is_made(name) and string.lower(id) ~= name and id .. string.sub(job, #name + 1) or job
end

-- How a known job compares with an entry for `:j`: 'other' (id or content); 'same'; or 'restated', where only how to
-- work at it is said otherwise, and that still means something. `older`: the entry as format 1 had it, if it is another;
-- `theirs`: what a file keeps of the content and of what format 1 had, of jobs that came from one.
local function compared(n, seq, job, older, theirs)
  local known = call('HGET', part(n, ':j'), seq)
  if not known then
    local k = kept(n, seq)
    local is_same = k and (k[2] == digest(content_of(under(k[1], job))) or older ~= '' and k[2] == digest(older)
      or k[2] == string.sub(theirs, 1, 8) or k[2] == string.sub(theirs, 9, 16))
    return is_same and 'same' or 'other'
  end
  job = under(id_of(known), job)
  if known == job then return 'same' end
  if content_of(known) ~= content_of(job) then return 'other' end
  local state = head(call('HGET', part(n, ':s'), seq)).state
  return (state == 'done' or state == 'cancelled') and 'same' or 'restated'
end

-- Whether a made name is that of a known job, in a batch with jobs of format 1 that lost their content before they had
-- their content's name. One of them that is recognized by what the line says now has it from then on.
local function is_recognized(n, name, older, theirs)
  if call('HEXISTS', part(n, ':i'), name) == 1 then return true end
  local seq = older ~= '' and call('HGET', part(n, ':i'), id_of(older))
  local k = seq and kept(n, seq)
  if not k or k[2] ~= digest(older) and k[2] ~= string.sub(theirs, 9, 16) then return false end
  call('HSET', part(n, ':i'), name, seq)
  if call('HINCRBY', part(n, ''), 'unsure', -1) <= 0 then call('HDEL', part(n, ''), 'unsure') end
  return true
end
