-- What is remembered of a persona. `core/store/memories.py` is the only caller; its keys come as ARGV[2].
-- Every change of a memory gets the next number (`seq`), and every one that goes is counted (`gone`): by these two,
-- whoever holds a copy knows what to read again. What was said lies as the line of talk that it was, anything else
-- behind the letter M.

local K = cmsgpack.unpack(ARGV[2])
local call = redis.call
local function key(name, id) return (string.gsub(K[name], '{}', (string.gsub(id, '%%', '%%%%')))) end

local function number(id) call('ZADD', K.order, call('HINCRBY', K.state, 'seq', 1), id) end

local function put(id, body)
  if call('HGET', K.all, id) == body then return false end
  call('HSET', K.all, id, body)
  call('HDEL', K.vectors, id)
  number(id)
  return true
end

local function made(id) -- a memory that is no line of talk
  local body = call('HGET', K.all, id)
  if not body or string.sub(body, 1, 1) ~= 'M' then return nil end
  local sound, memory = pcall(cmsgpack.unpack, string.sub(body, 2))
  return sound and type(memory) == 'table' and memory or nil
end

-- Of two facts of one slot the later one holds.
local function settle(id, slot, time)
  local held = call('HGET', K.slots, slot)
  local other = held and held ~= id and made(held)
  if not other or other.time <= time then
    call('HSET', K.slots, slot, id)
    call('HDEL', K.over, id)
    if other then
      call('HSET', K.over, held, id)
      number(held)
    end
  else
    call('HSET', K.over, id, held)
    number(id)
  end
end

local function drop(id)
  local memory = made(id)
  if call('HDEL', K.all, id) == 0 then return 0 end
  call('ZREM', K.order, id)
  call('HDEL', K.vectors, id)
  call('HDEL', K.over, id)
  call('HINCRBY', K.state, 'gone', 1)
  if memory and memory.slot then
    local slot = memory.author.id .. '|' .. memory.slot
    if call('HGET', K.slots, slot) == id then call('HDEL', K.slots, slot) end
    local over = call('HGETALL', K.over)
    for i = 1, #over, 2 do
      if over[i + 1] == id then -- what it had replaced holds again
        call('HDEL', K.over, over[i])
        number(over[i])
        if call('HEXISTS', K.slots, slot) == 0 then call('HSET', K.slots, slot, over[i]) end
      end
    end
  end
  return 1
end

local function keep(id, body, slot, time, people)
  local kept = put(id, body) and 1 or 0
  if slot ~= '' then settle(id, slot, tonumber(time)) end
  for _, person in ipairs(cmsgpack.unpack(people)) do call('SADD', key('of', person), K.persona) end
  return kept
end

-- What was made of a line that reads differently now, or is gone, goes with it.
local function unmake(source)
  for _, id in ipairs(call('HKEYS', K.all)) do
    local of = (string.sub(id, 1, 5) == 'fact:' or string.sub(id, 1, 8) == 'episode:') and made(id)
    for _, one in ipairs(of and of.sources or {}) do
      if one == source then
        drop(id)
        break
      end
    end
  end
end

local ops = {}

-- Take in lines of talk that were heard or said since: at most ARGV[3].
-- → how many more there are, the number of the latest change, how many have gone
function ops.take()
  local found = {}
  for _, name in ipairs(call('SRANDMEMBER', K.fresh, tonumber(ARGV[3]))) do
    call('SREM', K.fresh, name)
    local talk, line = string.match(name, '^(.*)\n(.*)$')
    local body = talk and call('HGET', key('lines', talk), line)
    if body then found[#found + 1] = {string.match(talk, '^[^|]*|[^|]*|(.*)$') .. '/' .. line, body, cmsgpack.unpack(body)} end
  end
  table.sort(found, function(a, b) return a[3].time < b[3].time end)
  for _, one in ipairs(found) do
    put(one[1], one[2])
    if not one[3].ours then call('SADD', key('of', one[3].author.id), K.persona) end
  end
  local left = call('SCARD', K.fresh)
  if left == 0 then call('SREM', K.waiting, K.persona) end
  local seq, gone = unpack(call('HMGET', K.state, 'seq', 'gone'))
  return {left, seq or 0, gone or 0}
end

-- Keep memories: ARGV from 3 on are id, body, slot ('' if none), time, and the ids of people, as one packed list.
function ops.put()
  local kept = 0
  for i = 3, #ARGV, 5 do kept = kept + keep(unpack(ARGV, i, i + 4)) end
  return kept
end

-- Keep what was made of lines, if they still read as they did: as `put`, and with each the numbers of its sources, as
-- one packed list of id, number, id, number … → ids of those that were not kept
function ops.made()
  local stale = {}
  for i = 3, #ARGV, 6 do
    local sources, fresh = cmsgpack.unpack(ARGV[i + 5]), true
    for at = 1, #sources, 2 do
      local now = call('ZSCORE', K.order, sources[at])
      fresh = fresh and now and tonumber(now) == tonumber(sources[at + 1])
    end
    if fresh then keep(unpack(ARGV, i, i + 4)) else stale[#stale + 1] = ARGV[i] end
  end
  return stale
end

-- Vectors of memories: ARGV from 3 on are id, the number under which it was read, and the vector.
function ops.vectors()
  for i = 3, #ARGV, 3 do
    local now = call('ZSCORE', K.order, ARGV[i])
    if now and tonumber(now) == tonumber(ARGV[i + 1]) then call('HSET', K.vectors, ARGV[i], ARGV[i + 2]) end
  end
  return 0
end

-- Memories ARGV from 3 on go. → how many
function ops.drop()
  local went = 0
  for i = 3, #ARGV do went = went + drop(ARGV[i]) end
  return went
end

-- The same because somebody wants it: what was made of them goes, too. → how many of them
function ops.delete()
  local went = 0
  for i = 3, #ARGV do
    if drop(ARGV[i]) > 0 then
      went = went + 1
      unmake(ARGV[i])
    end
  end
  return went
end

-- The line ARGV[4] of the talk ARGV[3] is gone: it is neither remembered nor will be.
function ops.unsay()
  call('SREM', K.fresh, ARGV[3] .. '\n' .. ARGV[4])
  local held = call('GET', K.bin)
  if held and cmsgpack.unpack(held)[2] == ARGV[5] then call('DEL', K.bin) end -- nor does it come back from there
  local went = drop(ARGV[5])
  if went > 0 then unmake(ARGV[5]) end
  return went
end

-- The memory ARGV[3], if it still reads ARGV[4], reads ARGV[5]. → 1, or 0 if it does not
function ops.change()
  if call('HGET', K.all, ARGV[3]) ~= ARGV[4] then return 0 end
  if put(ARGV[3], ARGV[5]) then unmake(ARGV[3]) end
  return 1
end

-- The memory ARGV[3] goes, and can be brought back by ARGV[4] for ARGV[5] seconds. → 1, or 0 if there is none
function ops.bin()
  local body = call('HGET', K.all, ARGV[3])
  if not body then return 0 end
  call('SET', K.bin, cmsgpack.pack({ARGV[4], ARGV[3], body}), 'EX', ARGV[5])
  local went = drop(ARGV[3])
  unmake(ARGV[3]) -- should it come back, it is reflected on again
  return went
end

-- What ARGV[3] let go last is remembered again. → its id and body, or nothing
function ops.unbin()
  local held = call('GET', K.bin)
  local person, id, body = unpack(held and cmsgpack.unpack(held) or {})
  if person ~= ARGV[3] then return {} end
  call('DEL', K.bin)
  put(id, body)
  local memory = made(id)
  if memory and memory.slot and (memory.kind == 'fact' or memory.kind == 'note') then settle(id, memory.author.id .. '|' .. memory.slot, memory.time) end
  return {id, body}
end

return ops[ARGV[1]]()
