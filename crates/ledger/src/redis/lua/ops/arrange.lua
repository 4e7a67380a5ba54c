-- The batch has these terms from now on; what is not named stays. Works before it is published, too.
-- ARGV: folded batch; JSON: weight, priority, budget (thousandths; '' for none), schedule, from, until; and only_if: what
-- its schedule has to be, or nothing changes. Returns 0 if there is no such batch.

changes()
local n = call('HGET', P .. 'names', ARGV[1])
if not n then return 0 end
local new = cjson.decode(ARGV[2])
if new.only_if and (call('HGET', part(n, ''), 'schedule') or '') ~= new.only_if then return 1 end
local before = terms(n)
leave(n, before)
for _, name in ipairs({ 'weight', 'priority', 'schedule', 'from', 'until', 'budget' }) do
  if new[name] == '' then
    call('HDEL', part(n, ''), name)
  elseif new[name] then
    call('HSET', part(n, ''), name, new[name])
  end
end
-- What it has had counts among those of its priority only.
if new.priority and tonumber(new.priority) ~= before.priority then call('HDEL', part(n, ''), 'vt') end
if new.budget then look_for_prices() end
if first_ready(n) then enter(n) end
return 1
