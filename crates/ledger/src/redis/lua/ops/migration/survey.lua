-- Published jobs as format 1 stored them. Changes nothing.
-- ARGV: batch, first sequence, how many. Returns for each its entry in `:j`, or, if it is compact, its id and body.
-- Cost: one call for each.

local n, from, out = ARGV[1], tonumber(ARGV[2]), {}
local b = call('HMGET', part(n, ''), 'name', 'published')
if b[1] then
  for seq = from, math.min(from + tonumber(ARGV[3]), tonumber(b[2] or 0)) - 1 do
    local entry = call('HGET', part(n, ':j'), seq)
    local k = not entry and kept(n, seq)
    out[#out + 1] = { entry or '', k and k[1] or '', k and k[4] or '' }
  end
end
return out
