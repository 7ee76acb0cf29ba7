-- What people felt about replies, as facts. `core/store/ledger.py` is the only caller; key patterns come as ARGV[2].
-- A rated reply and its prompt are kept longer: ratings are what nights learn from.

local K = cmsgpack.unpack(ARGV[2])
local call = redis.call
local function key(name, id) return (string.gsub(K[name], '{}', (string.gsub(id, '%%', '%%%%')))) end

-- A persona's replies are listed for as long as a rated one is kept: by this server's clock, for a worker's may jump and
-- would take all that was rated with it. An old reply that is brought from elsewhere is listed, too.
local function trim(record, ttl)
  local persona, now = record.persona, tonumber(call('TIME')[1])
  local listed = key('replies_of', persona.account .. '|' .. persona.card .. '|' .. persona.scope)
  call('ZREMRANGEBYSCORE', listed, '-inf', math.min(record.time, now) - ttl)
end

local function keep(reply, ttl)
  local record = cmsgpack.unpack(call('GET', key('reply', reply)))
  local persona = record.persona
  trim(record, ttl)
  for _, scope in ipairs({persona.scope, '*'}) do -- and for what all scopes of the card learn together
    call('HINCRBY', K.fresh, persona.account .. '|' .. persona.card .. '|' .. scope, 1)
  end
  local felt = key('felt', persona.account .. '|' .. persona.card .. '|' .. persona.scope) -- its personality asks there
  call('SADD', felt, reply)
  call('EXPIRE', felt, ttl)
  local now = call('TIME')
  local rated = key('rated_of', persona.account .. '|' .. persona.card .. '|' .. persona.scope)
  call('ZADD', rated, now[1] * 1000000 + now[2], reply) -- when something changed, so that a taste knows what to read
  call('ZREMRANGEBYSCORE', rated, '-inf', (now[1] - ttl) * 1000000)
  call('EXPIRE', rated, ttl)
  call('EXPIRE', key('reply', reply), ttl, 'GT')
  for _, name in ipairs(record.sections) do call('EXPIRE', key('section', name), ttl, 'GT') end
  call('EXPIRE', key('reactions', reply), call('TTL', key('reply', reply)))
end

-- A fact lands on its reply. 'recorded', or 'gone' when the reply is no longer kept.
local function land(reply, fact, user, time, ttl)
  if call('EXISTS', key('reply', reply)) == 0 then return 'gone' end
  call('RPUSH', key('reactions', reply), fact)
  call('ZADD', key('rated_by', user), time, reply)
  keep(reply, ttl)
  return 'recorded'
end

local ops = {}

-- A reaction to a platform message: on the reply behind it, or parked until that reply is known and whole.
function ops.react()
  local seen, message, fact, user, time, ttl, parked_for = unpack(ARGV, 3)
  if not call('SET', key('seen', seen), '1', 'NX', 'EX', 86400) then return {'seen', ''} end
  local reply = call('GET', key('message', message))
  if reply and (call('EXISTS', key('reply', reply)) == 1 or call('HEXISTS', key('sent', reply), 'final') == 1) then
    return {land(reply, fact, user, time, ttl), reply}
  end
  call('RPUSH', key('parked', message), cmsgpack.pack({fact, user, time}))
  call('EXPIRE', key('parked', message), parked_for)
  call('SADD', key('parked_by', user), message)
  call('EXPIRE', key('parked_by', user), parked_for)
  return {'parked', ''}
end

-- A reaction known by its reply (imported files). The same fact twice changes nothing.
function ops.import()
  local id, reply, fact, user, time, ttl = unpack(ARGV, 3)
  for _, known in ipairs(call('LRANGE', key('reactions', reply), 0, -1)) do
    if cmsgpack.unpack(known).id == id then return {'seen', reply} end
  end
  return {land(reply, fact, user, time, ttl), reply}
end

local function unpark(reply, message, ttl)
  local landed = 0
  for _, item in ipairs(call('LRANGE', key('parked', message), 0, -1)) do
    local fact, user, time = unpack(cmsgpack.unpack(item))
    if land(reply, fact, user, time, ttl) == 'recorded' then landed = landed + 1 end
    call('SREM', key('parked_by', user), message)
  end
  call('DEL', key('parked', message))
  return landed
end

-- A part of a reply was sent as these platform messages.
function ops.sent()
  local reply, part, ids, ttl = unpack(ARGV, 3)
  call('HSET', key('sent', reply), part, ids)
  call('EXPIRE', key('sent', reply), ttl)
  for _, message in ipairs(cmsgpack.unpack(ids)) do call('SET', key('message', message), reply, 'EX', ttl) end
  return 1
end

-- All parts were sent: what was parked for them lands, and older replies are listed no more. → how many landed
function ops.whole()
  local reply, ttl, landed = ARGV[3], ARGV[4], 0
  local record = call('GET', key('reply', reply))
  if record then trim(cmsgpack.unpack(record), ttl) end
  call('HSET', key('sent', reply), 'final', '1')
  call('EXPIRE', key('sent', reply), ttl)
  local fields = call('HGETALL', key('sent', reply))
  for i = 1, #fields, 2 do
    if tonumber(fields[i]) then
      for _, message in ipairs(cmsgpack.unpack(fields[i + 1])) do landed = landed + unpark(reply, message, ttl) end
    end
  end
  return landed
end

-- Forget what somebody's reactions wait for.
function ops.unpark()
  local user = ARGV[3]
  for _, message in ipairs(call('SMEMBERS', key('parked_by', user))) do
    for _, item in ipairs(call('LRANGE', key('parked', message), 0, -1)) do
      if cmsgpack.unpack(item)[2] == user then call('LREM', key('parked', message), 0, item) end
    end
  end
  return call('DEL', key('parked_by', user))
end

return ops[ARGV[1]]()
