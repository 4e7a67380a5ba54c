-- Entries in `:j` as format 2 has them, and the names that their jobs are also known by.
-- ARGV: batch; then for each: sequence, entry as it is, entry as it is to be, name ('' for none), its number to begin with.
-- Returns the number that each name was given. Cost: 3 calls for each.

local n, out = ARGV[1], {}
for i = 2, #ARGV, 5 do
  local seq, nth = ARGV[i], tonumber(ARGV[i + 4])
  if call('HGET', part(n, ':j'), seq) == ARGV[i + 1] then call('HSET', part(n, ':j'), seq, ARGV[i + 2]) end
  while ARGV[i + 3] ~= '' do
    local name = nth == 1 and ARGV[i + 3] or string.format('%s-%d', ARGV[i + 3], nth)
    call('HSETNX', part(n, ':i'), name, seq)
    if call('HGET', part(n, ':i'), name) == seq then break end
    nth = nth + 1
  end
  out[#out + 1] = nth
end
return out
