-- Histories of personalities. `core/store/personalities.py` is the only caller; appending is plain XADD and HINCRBY.
-- ARGV: op, the stream, the hash with the latest snapshot, the hash of days, the set of what was felt, …

local call = redis.call
local op, stream, at, days, felt = unpack(ARGV, 1, 5)
local ops = {}

-- A stream id as something that can be compared.
local function order(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function is_after(a, b)
  local ms, seq = order(a)
  local other, number = order(b)
  return ms > other or (ms == other and seq > number)
end

-- → {changes ever written, id and body of the latest snapshot, replies with feelings not weighed yet, what followed}
function ops.read()
  local written, id, body = unpack(call('HMGET', at, 'written', 'id', 'state'))
  local after = id and '(' .. id or '-'
  return {written or '', id or '', body or '', call('SMEMBERS', felt), call('XRANGE', stream, after, '+')}
end

-- A snapshot at `id`, unless there is a later one; days (pairs of day and body) in any case, those before `oldest` go.
function ops.snap()
  local id, body, keep, oldest = unpack(ARGV, 6, 9)
  for i = 10, #ARGV, 2 do call('HSET', days, ARGV[i], ARGV[i + 1]) end
  if #ARGV > 10 then
    for _, day in ipairs(call('HKEYS', days)) do
      if tonumber(day) < tonumber(oldest) then call('HDEL', days, day) end
    end
  end
  local there = call('HGET', at, 'id')
  if there and not is_after(id, there) then return 0 end
  call('HSET', at, 'id', id, 'state', body)
  call('XTRIM', stream, 'MAXLEN', keep)
  return 1
end

return ops[op]()
