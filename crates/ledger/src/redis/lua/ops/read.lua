-- Published jobs as they are. Changes nothing.
-- ARGV: 'key', folded batch, folded id; or 'token', token; or 'task', task; or 'seqs', batch's number, sequences; or
-- 'members', batch and sequence of each. Returns now and the jobs. Cost: some 4 calls for each job.

local n, seqs = nil, {}
if ARGV[1] == 'key' then
  n = call('HGET', P .. 'names', ARGV[2])
  seqs[1] = n and seq_of(n, ARGV[3]) or nil
elseif ARGV[1] == 'seqs' then
  n = ARGV[2]
  for i = 3, #ARGV do seqs[i - 2] = ARGV[i] end
elseif ARGV[1] ~= 'members' then
  local member
  if ARGV[1] == 'token' then
    member = call('HGET', P .. 'i', ARGV[2])
  else
    member = owner_of(ARGV[2])
  end
  if member then n, seqs[1] = place(member) end
end

local out = {}
local function take(b, n, seq)
  if not b[1] or tonumber(seq) >= tonumber(b[2]) then return end
  local member = n .. ':' .. seq
  local stored = call('HGET', part(n, ':s'), seq) or kept_state(n, seq)
  local leased = stored and leased_until(member, lease_of(member)) or 0
  out[#out + 1] = row(n, seq, b[1], job_of(n, seq), stored, leased)
end

if ARGV[1] == 'members' then
  for i = 2, #ARGV do
    local n, seq = place(ARGV[i])
    take(call('HMGET', part(n, ''), 'name', 'published'), n, seq)
  end
elseif n and seqs[1] then
  local b = call('HMGET', part(n, ''), 'name', 'published')
  for _, seq in ipairs(seqs) do take(b, n, seq) end
end
return { NOW, out }
