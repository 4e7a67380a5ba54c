-- Shared: many jobs in few calls. What a call costs is mostly that it is one.

-- One field of their batches' hashes `name` for each of these places, false where there is none: one call a batch.
local function fields(name, batches, seqs)
  local asked, positions, out = {}, {}, {}
  for i, n in ipairs(batches) do
    local ask = asked[n]
    if not ask then
      ask = { 'HMGET', part(n, name) }
      asked[n] = ask
    end
    ask[#ask + 1] = seqs[i]
    positions[i] = #ask - 2
  end
  for n, ask in pairs(asked) do asked[n] = call(unpack(ask)) end
  for i, n in ipairs(batches) do out[i] = asked[n][positions[i]] end
  return out
end
