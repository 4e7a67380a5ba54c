-- Shared: whether the server is the one that the ledger was with before. One that was started anew, or promoted in the
-- place of another, may have gone back in time; then nothing is granted until the journals have spoken.

-- What of a section of INFO; nil where the server does not let us ask. Asked once in a call: it is dear.
local told = {}
local function said(section, name)
  local text = told[section] or redis.pcall('INFO', section)
  told[section] = text
  return type(text) == 'string' and string.match(text, name .. ':(%w+)') or nil
end

-- What tells this server, and this history of its data, from others; nil where the server does not let us ask.
-- The second replication id, and not the first, names what a promoted server followed; the first also changes when a
-- server gets its first replica.
local function this_server()
  local run, history = said('server', 'run_id'), said('replication', 'master_replid2')
  return run and history and run .. ' ' .. history
end

-- Until when nothing is granted, if so. `wait`: for how long after a change.
local function recovering(wait)
  local server = this_server()
  if not server then return nil end
  local m = call('HMGET', P .. 'meta', 'server', 'recovers')
  if m[1] and m[1] ~= server then m[2] = NOW + wait end
  if m[1] ~= server then call('HSET', P .. 'meta', 'server', server, 'recovers', m[2] or 0) end
  local till = tonumber(m[2] or 0)
  return NOW < till and till or nil
end
