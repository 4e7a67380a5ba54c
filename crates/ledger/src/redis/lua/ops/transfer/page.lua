-- Jobs of a batch as an export has them. Changes nothing.
-- ARGV: stamp, batch, first sequence, and the one behind the last. Returns nothing if the ledger has another stamp; or for
-- each: entry in `:j`, entry in `:s`, what is kept of a compact one (id, digest, version, body, credits), lane and due, until
-- when it is in flight, its priority where only `:r` knows it, and what `unreadable` says. What there is not is ''.
-- Cost: 8 calls for each job.

if (call('HGET', P .. 'meta', 'changed') or '') ~= ARGV[1] then return {} end
local n, out = ARGV[2], {}
for at = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1 do
  local seq = string.format('%.0f', at)
  local member = n .. ':' .. seq
  local k = kept(n, at) or {}
  local lane, due = '', ''
  for _, name in ipairs({ 'submit', 'follow', 'save' }) do
    local score = call('ZSCORE', P .. 'd:' .. name, member)
    if score then lane, due = name, score end
  end
  local rank = call('ZSCORE', part(n, ':r'), seq)
  out[#out + 1] = {
    call('HGET', part(n, ':j'), seq) or '', call('HGET', part(n, ':s'), seq) or '',
    k[1] or '', k[2] or '', k[3] and string.format('%.0f', k[3]) or '', k[4] or '', k[5] or '0',
    lane, due, call('ZSCORE', P .. 'f', member) or '',
    rank and string.format('%.0f', -math.floor(tonumber(rank) / LEVEL)) or '',
    call('HGET', P .. 'unreadable', member) or '',
  }
end
return out
