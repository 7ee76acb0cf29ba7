-- The queue and the way back, as one set of atomic operations. `core/store/queue.py` is its only caller.
--
-- One FIFO per conversation and at most one of its jobs in flight; conversations that are ready lie in a sorted set
-- per lane, by virtual time: start-time fair queueing (Goyal, Vin, Cheng 1996) with every job costing 1.
-- A claimed job has a lease and a fence, a number that only grows: whoever holds an older fence is not heard.
-- Times in milliseconds of the server's clock. KEYS[1] is the prefix; single-server Redis (no cluster).

local P = KEYS[1]
local call = redis.call
local LANES = {'live', 'background'}
local BELLS = 256

local function now()
  local t = call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function jobkey(id) return P .. 'job:' .. id end
local function linekey(conv) return P .. 'line:' .. conv end
local function get(id, field) return call('HGET', jobkey(id), field) end
local function number(id, field) return tonumber(get(id, field)) or 0 end
local function ring()
  if call('LLEN', P .. 'bell') < BELLS then call('LPUSH', P .. 'bell', '1') end
end
local function depth(lane, by) call('HINCRBY', P .. 'depth', lane, by) end

-- Put a conversation where it belongs now: nowhere, among the delayed, or among the ready.
local function settle(conv, t)
  for _, lane in ipairs(LANES) do call('ZREM', P .. 'ready:' .. lane, conv) end
  call('ZREM', P .. 'delayed', conv)
  if call('HEXISTS', P .. 'busy', conv) == 1 then return end
  local head = call('LINDEX', linekey(conv), 0)
  if not head then return end
  local after = number(head, 'after')
  if after > t then
    call('ZADD', P .. 'delayed', after, conv)
  else
    local lane = get(head, 'lane')
    local clock = tonumber(call('GET', P .. 'clock:' .. lane)) or 0
    local spent = tonumber(call('ZSCORE', P .. 'spent:' .. lane, conv)) or 0
    -- the fraction keeps those of one round in the order in which they came
    local tick = call('INCR', P .. 'tick') % 1000000
    call('ZADD', P .. 'ready:' .. lane, math.max(clock, spent) + tick / 1000000, conv)
  end
  ring()
end

local function send(stream, body)
  call('XADD', stream, '*', 'b', body)
  call('EXPIRE', stream, 86400)
end

-- The message of a failure, in the shape of core.jobs.Failed.
local function failure(id, reason, dead, cancelled)
  local job = cmsgpack.unpack(get(id, 'payload'))
  return cmsgpack.pack({type = 'Failed', job = id, reply_id = job.reply_id, conversation = job.conversation,
    place = job.place, reason = reason, dead = dead, cancelled = cancelled})
end

-- Commands as they follow in ARGV: how many words, the words, and so on.
local function apply(at)
  while ARGV[at] do
    local words = tonumber(ARGV[at])
    call(unpack(ARGV, at + 1, at + words))
    at = at + words + 1
  end
end

local function leave(id)  -- it is no longer in flight
  call('ZREM', P .. 'leases', id)
  call('HDEL', P .. 'busy', get(id, 'conv'))
end

local function again(id, t, delay)  -- back to the head of its line: order stays
  local conv = get(id, 'conv')
  leave(id)
  call('HSET', jobkey(id), 'state', 'waiting', 'after', t + delay)
  call('LPUSH', linekey(conv), id)
  depth(get(id, 'lane'), 1)
  settle(conv, t)
end

local function bury(id, t, reason)
  local conv = get(id, 'conv')
  leave(id)
  call('HSET', jobkey(id), 'state', 'dead', 'reason', reason, 'died', t)
  call('ZADD', P .. 'dead', t, id)
  send(get(id, 'replies'), failure(id, reason, true, false))
  settle(conv, t)
end

local function retry(id, t, delay, reason)
  if get(id, 'cancel') then
    local conv = get(id, 'conv')
    leave(id)
    send(get(id, 'replies'), failure(id, 'stopped', false, true))
    call('DEL', jobkey(id))
    settle(conv, t)
  elseif number(id, 'attempts') >= number(id, 'most') then
    bury(id, t, reason)
  else
    call('HSET', jobkey(id), 'reason', reason)
    again(id, t, delay)
  end
end

-- The job is this worker's still?
local function held(id, fence) return get(id, 'state') == 'running' and get(id, 'fence') == fence end

-- How many answers are due before this job's, itself included; 0 while it is being answered.
local function place(id)
  local state = get(id, 'state')
  if state ~= 'waiting' then return state == 'running' and 0 or -1 end
  local conv = get(id, 'conv')
  local mine = (call('LPOS', linekey(conv), id) or 0) + 1
  for _, lane in ipairs(LANES) do
    local before = call('ZRANK', P .. 'ready:' .. lane, conv)
    if before then return before + mine end
  end
  return mine
end

local function submit(job, t, limits)
  local line = linekey(job.conv)
  local last = call('LINDEX', line, -1)
  if last and job.merge > 0 and get(last, 'author') == job.author and get(last, 'merges') == '1'
      and t - number(last, 'submitted') <= job.merge then
    call('HSET', jobkey(last), 'events', get(last, 'events') .. '\n' .. job.events, 'submitted', t)
    if job.delay > 0 then
      call('HSET', jobkey(last), 'after', t + job.delay)
      settle(job.conv, t)
    end
    return {'merged', last, place(last)}
  end
  local waiting = 0
  for _, lane in ipairs(LANES) do waiting = waiting + (tonumber(call('HGET', P .. 'depth', lane)) or 0) end
  if waiting >= limits.depth then return {'full', '', waiting} end
  if call('LLEN', line) >= limits.line then return {'full', '', call('LLEN', line)} end
  call('HSET', jobkey(job.id), 'payload', ARGV[job.payload], 'conv', job.conv, 'lane', job.lane, 'author', job.author,
    'events', job.events, 'replies', job.replies, 'state', 'waiting', 'attempts', 0, 'most', limits.attempts,
    'submitted', t, 'after', job.delay > 0 and t + job.delay or 0, 'merges', job.merge > 0 and '1' or '0')
  call('RPUSH', line, job.id)
  depth(job.lane, 1)
  if call('LLEN', line) == 1 then settle(job.conv, t) end
  return {'queued', job.id, place(job.id)}
end

-- The conversation keeps a line of talk; returns nothing. Over `keep`, the oldest leave.
local function hear(line, keep)
  local order, lines = line.order, line.lines
  local seq = call('INCR', line.seq)
  call('ZADD', order, seq, line.id)
  call('HSET', lines, line.id, ARGV[line.body])
  for i = 1, #line.index, 2 do call('SADD', line.index[i], line.index[i + 1]) end
  if call('ZCARD', order) > keep then
    for _, old in ipairs(call('ZRANGE', order, 0, -keep - 1)) do
      call('ZREM', order, old)
      call('HDEL', lines, old)
    end
  end
end

local ops = {}

-- A batch of events, each heard once: {seen, line?, job?} → {what, job id, place or depth}.
-- Bodies are named by their place in ARGV (Redis's msgpack knows no binary type).
function ops.accept()
  local t, batch, limits = now(), cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
  local out = {}
  for i, item in ipairs(batch) do
    if item.seen and not call('SET', item.seen, '1', 'NX', 'EX', limits.seen) then
      out[i] = {'seen', '', 0}
    else
      if item.line then hear(item.line, limits.keep) end
      out[i] = item.job and submit(item.job, t, limits) or {'heard', '', 0}
    end
  end
  return out
end

local function reap(t)
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', t, 'LIMIT', 0, 200)) do
    retry(id, t, 0, 'the worker that had it went silent')
  end
  for _, conv in ipairs(call('ZRANGEBYSCORE', P .. 'delayed', '-inf', t, 'LIMIT', 0, 200)) do settle(conv, t) end
end

local function lane_for_next(every)
  local live, background = P .. 'ready:live', P .. 'ready:background'
  if call('EXISTS', background) == 0 then return 'live' end
  if call('EXISTS', live) == 0 then return 'background' end
  if every == 0 then return 'live' end
  return call('INCR', P .. 'turn') % every == 0 and 'background' or 'live'
end

local function take(lane, t, worker, lease)
  local popped = call('ZPOPMIN', P .. 'ready:' .. lane)
  local conv = popped[1]
  if not conv then return nil end
  local clock = math.floor(tonumber(popped[2]))
  call('SET', P .. 'clock:' .. lane, clock)
  call('ZREMRANGEBYSCORE', P .. 'spent:' .. lane, '-inf', clock)
  call('ZADD', P .. 'spent:' .. lane, clock + 1, conv)
  local id = call('LPOP', linekey(conv))
  local fence = call('INCR', P .. 'fence')
  local attempts = call('HINCRBY', jobkey(id), 'attempts', 1)
  call('HSET', jobkey(id), 'state', 'running', 'fence', fence, 'worker', worker)
  call('ZADD', P .. 'leases', t + lease, id)
  call('HSET', P .. 'busy', conv, id)
  depth(lane, -1)
  return {id, fence, attempts, get(id, 'payload'), get(id, 'events')}
end

-- → {milliseconds until something falls due or -1, {id, fence, attempts, payload, events} …}
function ops.claim()
  local t, worker, most, lease, every = now(), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  reap(t)
  local out = {}
  for i = 1, most do
    local job = take(lane_for_next(every), t, worker, lease)
    if not job then break end
    out[i] = job
  end
  local due = -1
  for _, key in ipairs({'delayed', 'leases'}) do
    local first = call('ZRANGE', P .. key, 0, 0, 'WITHSCORES')
    if first[2] and (due < 0 or tonumber(first[2]) - t < due) then due = math.max(0, tonumber(first[2]) - t) end
  end
  return {due, out}
end

-- {id, fence, …} → for each: 'held', 'cancel' or 'stale'. Held leases last `lease` from now.
function ops.beat()
  local t, lease, out = now(), tonumber(ARGV[2]), {}
  for i = 3, #ARGV, 2 do
    if held(ARGV[i], ARGV[i + 1]) then
      call('ZADD', P .. 'leases', t + lease, ARGV[i])
      out[#out + 1] = get(ARGV[i], 'cancel') and 'cancel' or 'held'
    else
      out[#out + 1] = 'stale'
    end
  end
  return out
end

-- A partial reply, if somebody is there to show it. → 'held', 'cancel' or 'stale'
function ops.publish()
  local id, fence, body = ARGV[2], ARGV[3], ARGV[4]
  if not held(id, fence) then return 'stale' end
  if call('EXISTS', ARGV[5]) == 1 then send(get(id, 'replies'), body) end
  return get(id, 'cancel') and 'cancel' or 'held'
end

-- The reply and all that follows from it, at once or not at all. → 1, or 0 when the lease was lost
function ops.complete()
  local id, fence, body = ARGV[2], ARGV[3], ARGV[4]
  if not held(id, fence) then return 0 end
  local conv = get(id, 'conv')
  apply(5)
  send(get(id, 'replies'), body)
  leave(id)
  call('DEL', jobkey(id))
  settle(conv, now())
  return 1
end

-- It could not be answered now: again after a delay, or (no attempts left, or `final`) to the dead letters.
function ops.fail()
  local id, fence, delay, reason, final = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6] == '1'
  if not held(id, fence) then return 'stale' end
  if final and not get(id, 'cancel') then bury(id, now(), reason) else retry(id, now(), delay, reason) end
  return get(id, 'state') or 'gone'
end

-- A worker that stops gives its jobs back; an attempt cut short by that does not count.
function ops.release()
  local t, out = now(), 0
  for i = 2, #ARGV, 2 do
    if held(ARGV[i], ARGV[i + 1]) then
      call('HINCRBY', jobkey(ARGV[i]), 'attempts', -1)
      retry(ARGV[i], t, 0, 'the worker stopped')
      out = out + 1
    end
  end
  return out
end

-- What dead workers had. A job that took several workers with it is suspect, so these attempts count.
function ops.disown()
  local t, out = now(), 0
  for _, id in ipairs(call('ZRANGE', P .. 'leases', 0, -1)) do
    for i = 2, #ARGV do
      if get(id, 'worker') == ARGV[i] then
        retry(id, t, 0, 'the worker that had it died')
        out = out + 1
        break
      end
    end
  end
  return out
end

-- → 'waiting' (gone now), 'running' (the worker was told) or 'gone'
function ops.cancel()
  local id = ARGV[2]
  local state = get(id, 'state')
  if state == 'running' then
    call('HSET', jobkey(id), 'cancel', '1')
    call('PUBLISH', P .. 'cancels', id)
  elseif state == 'waiting' then
    local conv = get(id, 'conv')
    call('LREM', linekey(conv), 1, id)
    depth(get(id, 'lane'), -1)
    send(get(id, 'replies'), failure(id, 'stopped', false, true))
    call('DEL', jobkey(id))
    settle(conv, now())
  end
  return state == 'running' and 'running' or state == 'waiting' and 'waiting' or 'gone'
end

function ops.place() return place(ARGV[2]) end

-- The jobs of a conversation: the one in flight first.
function ops.jobs()
  local out = call('LRANGE', linekey(ARGV[2]), 0, -1)
  local busy = call('HGET', P .. 'busy', ARGV[2])
  if busy then table.insert(out, 1, busy) end
  return out
end

function ops.requeue()
  local t, out = now(), 0
  for i = 2, #ARGV do
    local id = ARGV[i]
    if get(id, 'state') == 'dead' then
      local conv = get(id, 'conv')
      call('ZREM', P .. 'dead', id)
      call('HDEL', jobkey(id), 'reason', 'died', 'cancel')
      call('HSET', jobkey(id), 'state', 'waiting', 'attempts', 0, 'after', 0)
      call('RPUSH', linekey(conv), id)
      depth(get(id, 'lane'), 1)
      if call('LLEN', linekey(conv)) == 1 then settle(conv, t) end
      out = out + 1
    end
  end
  return out
end

-- Forget a dead or waiting job without a word.
function ops.drop()
  local id = ARGV[2]
  local state, conv = get(id, 'state'), get(id, 'conv')
  if state == 'dead' then call('ZREM', P .. 'dead', id) end
  if state == 'waiting' then
    call('LREM', linekey(conv), 1, id)
    depth(get(id, 'lane'), -1)
  end
  if state == 'running' or not state then return 0 end
  call('DEL', jobkey(id))
  settle(conv, now())
  return 1
end

return ops[ARGV[1]]()
