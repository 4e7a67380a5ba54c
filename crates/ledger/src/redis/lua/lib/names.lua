-- Shared: the job of a name, and of a task. Names are in their batch's hash `:i`, tasks of all batches in `t`.

-- How a name is written there: a long one as its digest, which takes less room.
local function name_field(name)
  if #name > 40 then return '#' .. redis.sha1hex(name) end
  return name
end

-- How a task is written there.
local function task_field(task) return string.sub(redis.sha1hex(task), 1, 16) end

-- The sequence of a batch's job, by its folded name.
local function seq_of(n, name) return call('HGET', part(n, ':i'), name_field(name)) end

-- The job that a task belongs to, as batch and sequence.
local function owner_of(task) return call('HGET', P .. 't', task_field(task)) end
