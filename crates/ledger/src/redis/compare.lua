-- Which of these jobs are published already. Changes nothing.
-- ARGV: folded batch; then for each job: folded id, id and spec. Returns known and the positions of conflicts.

local known, conflicts = 0, {}
local n = call('HGET', P .. 'batches', ARGV[1])
if n then
  local b = call('HMGET', part(n, ''), 'published', 'buckets')
  local published, buckets = tonumber(b[1]), tonumber(b[2])
  for i = 2, #ARGV, 2 do
    local seq = find(part(n, ':i'), buckets, short(ARGV[i]))
    if seq and tonumber(seq) < published then
      if is_same(n, seq, ARGV[i + 1]) then
        known = known + 1
      else
        conflicts[#conflicts + 1] = (i - 2) / 2
      end
    end
  end
end
return { known, conflicts }
