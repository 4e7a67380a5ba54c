-- What the admission staged into these batches and did not publish is gone, and so is a batch left without jobs.
-- ARGV: admission, folded batches. Returns 1 if there is more to do: call again.
-- Cost: a bounded step, 200 jobs.

changes()
for i = 2, #ARGV do
  local n = call('HGET', P .. 'names', ARGV[i])
  if n and call('HGET', part(n, ''), 'admission') == ARGV[1] then
    call('HSET', part(n, ''), 'drop', 1)
    local left, published = drop_staged(n)
    if left > published then return 1 end
    if published > 0 then
      call('HDEL', part(n, ''), 'admission', 'at', 'drop')
    else
      call('HDEL', P .. 'names', ARGV[i])
      call('UNLINK', part(n, ''), part(n, ':i'), part(n, ':j'), part(n, ':z'), part(n, ':q'), part(n, ':r'), part(n, ':m:queued'))
    end
  end
end
return 0
