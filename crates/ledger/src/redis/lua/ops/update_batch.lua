-- The batch has this flag and these settings from now on; what is not named stays. Settings change before it is published, too.
-- ARGV: folded batch; JSON: flag: which ('paused' or 'cancelling'), on, and why, if there is more to say than that a person
-- wanted it; weight, priority, budget (thousandths; '' for none), schedule, from, until; and only_if: what its schedule has to
-- be, or nothing changes. Returns 0 if there is no such batch. Constant cost.

changes()
local n = call('HGET', P .. 'names', ARGV[1])
if not n then return 0 end
local new = cjson.decode(ARGV[2])
local b = call('HMGET', part(n, ''), 'published', 'schedule')
if new.flag and b[1] == '0' then return 0 end
if new.only_if and (b[2] or '') ~= new.only_if then return 1 end

-- Among the runnable batches only if it is neither paused nor cancelling.
local function set_flag(flag)
  if flag.on then
    call('HSET', part(n, ''), flag.name, 1)
    call('HDEL', part(n, ''), 'why')
    if flag.why then call('HSET', part(n, ''), 'why', flag.why) end
  elseif flag.name == 'paused' then
    call('HDEL', part(n, ''), 'paused', 'cancelling', 'why')
  else
    call('HDEL', part(n, ''), 'cancelling')
  end
  local t = batch_settings(n)
  if t.held then dequeue(n, t) elseif first_ready(n) then enter(n) end
  note_rest(n, false)
end

local function set_settings()
  local before = batch_settings(n)
  dequeue(n, before)
  for _, name in ipairs({ 'weight', 'priority', 'schedule', 'from', 'until', 'budget' }) do
    if new[name] == '' then
      call('HDEL', part(n, ''), name)
    elseif new[name] then
      call('HSET', part(n, ''), name, new[name])
    end
  end
  -- What it has had counts among those of its priority only.
  if new.priority and tonumber(new.priority) ~= before.priority then call('HDEL', part(n, ''), 'vt') end
  if new.budget then retry_unpriced() end
  if first_ready(n) then enter(n) end
end

if new.flag then set_flag(new.flag) end
new.flag, new.only_if = nil, nil
if next(new) then set_settings() end
return 1
