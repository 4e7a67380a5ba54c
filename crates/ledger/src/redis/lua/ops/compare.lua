-- Which of these jobs are published already. Changes nothing but second names.
-- ARGV: folded batch; then for each job: folded id, id and spec, the same as format 1 had them ('' if it is the same),
-- and the digests that a file keeps. Returns known, the positions of conflicts, now, and, of the
-- known that are to be worked at otherwise by what is said now, the positions and the jobs. Cost: 2 to 4 calls for each job.

local known, conflicts, positions, restated = 0, {}, {}, {}
local n = call('HGET', P .. 'names', ARGV[1])
if n then
  local b = call('HMGET', part(n, ''), 'published', 'name', 'unsure')
  local published = tonumber(b[1])
  for i = 2, #ARGV, 4 do
    local is_unsure = b[3] and is_made(ARGV[i]) and not is_recognized(n, ARGV[i], ARGV[i + 2], ARGV[i + 3])
    local seq = seq_of(n, ARGV[i])
    if is_unsure then
      conflicts[#conflicts + 1] = (i - 2) / 4
    elseif seq and tonumber(seq) < published then
      local how = compared(n, seq, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
      if how == 'other' then
        conflicts[#conflicts + 1] = (i - 2) / 4
      else
        known = known + 1
      end
      if how == 'restated' then
        local member = n .. ':' .. seq
        local leased = leased_until(member, lease_of(member))
        positions[#positions + 1] = (i - 2) / 4
        restated[#restated + 1] = row(n, seq, b[2], job_of(n, seq), call('HGET', part(n, ':s'), seq), leased)
      end
    end
  end
end
return { known, conflicts, NOW, positions, restated }
