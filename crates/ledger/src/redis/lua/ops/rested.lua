-- Says of every batch whether it is at rest, in a ledger that was made before that was known; once. What is at rest then
-- counts as having come to rest now. Returns 1 if it was done.
-- Cost: 4 calls for each batch, once in the life of a ledger of that time.

if call('HGET', P .. 'meta', 'rested') then return 0 end
for _, n in ipairs(call('HVALS', P .. 'names')) do
  if tonumber(call('HGET', part(n, ''), 'published') or 0) > 0 then
    note_rest(n, false)
    if call('BITPOS', part(n, ':u'), 1) >= 0 then call('ZADD', P .. 'whole', 'NX', 0, n) end
  end
end
call('HSET', P .. 'meta', 'rested', 1)
return 1
