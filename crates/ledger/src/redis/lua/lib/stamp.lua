-- Shared: what an export holds is another from now on. By the time, so that a server that went back in time and on has
-- another stamp.
local function changes() call('HSET', P .. 'meta', 'changed', clock[1] .. '.' .. clock[2]) end
