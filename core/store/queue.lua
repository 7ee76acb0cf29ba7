-- The queue and the way back, as one set of atomic operations. `core/store/queue.py` is its only caller; it puts the
-- line that says what may run while Redis is out of memory (all but `accept`) before these.
--
-- One FIFO per conversation and at most one of its jobs in flight; conversations that are ready lie in a sorted set
-- per lane, by virtual time: start-time fair queueing (Goyal, Vin, Cheng 1996) with every job costing 1.
-- A claimed job has a lease and a fence, a number that only grows: whoever holds an older fence is not heard.
-- Times in milliseconds of the server's clock. KEYS[1] is the prefix; single-server Redis (no cluster).

local P = KEYS[1]
local call = redis.call
local BUSY, LEASES, DELAYED, DEAD, DEPTH = P .. 'busy', P .. 'leases', P .. 'delayed', P .. 'dead', P .. 'depth'
local BELL, CANCELS = P .. 'bell', P .. 'cancels'
local BELLS = 64      -- more workers than these need not be woken at once
local PUSHES = 4      -- so often in a row may a quick message put off the answer
local DAY = 86400

local function now()
  local t = call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function jobkey(id) return P .. 'job:' .. id end
local function linekey(conv) return P .. 'line:' .. conv end
local function ready(lane) return P .. 'ready:' .. lane end
local function other(lane) return lane == 'live' and 'background' or 'live' end
local function get(id, field) return call('HGET', jobkey(id), field) end
local function fields(id, ...) return unpack(call('HMGET', jobkey(id), ...)) end
local function depth(lane, by) call('HINCRBY', DEPTH, lane, by) end

local function ring()
  if call('LLEN', BELL) < BELLS then call('LPUSH', BELL, '1') end
end

-- Where a conversation's next job starts in virtual time.
local function start(lane, conv)
  local clock = tonumber(call('GET', P .. 'clock:' .. lane)) or 0
  return math.max(clock, tonumber(call('ZSCORE', P .. 'spent:' .. lane, conv)) or 0)
end

-- Put a conversation where it belongs now: nowhere, among the delayed, or among the ready. One that is ready already
-- keeps its turn. (While a job of it is in flight it is nowhere, and `leave` comes before the next `settle`.)
local function settle(conv, t)
  if call('HEXISTS', BUSY, conv) == 1 then return end
  local head = call('LINDEX', linekey(conv), 0)
  if not head then
    for _, key in ipairs({ready('live'), ready('background'), DELAYED}) do call('ZREM', key, conv) end
    return
  end
  local after, lane = fields(head, 'after', 'lane')
  call('ZREM', ready(other(lane)), conv)
  if tonumber(after) > t then
    call('ZREM', ready(lane), conv)
    call('ZADD', DELAYED, after, conv)
  else
    call('ZREM', DELAYED, conv)
    if call('ZSCORE', ready(lane), conv) then return end
    -- the fraction keeps those of one round in the order in which they came
    local tick = call('INCR', P .. 'tick') % 1000000
    call('ZADD', ready(lane), start(lane, conv) + tick / 1000000, conv)
  end
  ring()
end

-- What nobody fetches is gone after a day, whether the stream goes on or not.
local function send(stream, body, t)
  call('XADD', stream, 'MINID', '~', t - DAY * 1000, '*', 'b', body)
  call('EXPIRE', stream, DAY)
end

-- The message of a failure, in the shape of core.jobs.Failed.
local function failed(id, t, reason, dead, cancelled)
  local payload, stream = fields(id, 'payload', 'replies')
  local job = cmsgpack.unpack(payload)
  send(stream, cmsgpack.pack({type = 'Failed', job = id, reply_id = job.reply_id, conversation = job.conversation,
    place = job.place, reason = reason, dead = dead, cancelled = cancelled}), t)
end

local function leave(id, conv)  -- it is no longer in flight
  call('ZREM', LEASES, id)
  call('HDEL', BUSY, conv)
end

local function bury(id, conv, t, reason)
  leave(id, conv)
  call('HSET', jobkey(id), 'state', 'dead', 'reason', reason, 'died', t)
  call('ZADD', DEAD, t, id)
  failed(id, t, reason, true, false)
  settle(conv, t)
end

local function stop(id, conv, t)
  failed(id, t, 'stopped', false, true)
  call('DEL', jobkey(id))
  settle(conv, t)
end

-- A job in flight that was not completed: back to the head of its line, so order stays; or it is over.
local function retry(id, t, delay, reason)
  local conv, lane, cancel, attempts, most = fields(id, 'conv', 'lane', 'cancel', 'attempts', 'most')
  if cancel then
    leave(id, conv)
    stop(id, conv, t)
  elseif tonumber(attempts) >= tonumber(most) then
    bury(id, conv, t, reason)
  else
    leave(id, conv)
    call('HSET', jobkey(id), 'state', 'waiting', 'after', t + delay, 'reason', reason)
    call('LPUSH', linekey(conv), id)
    depth(lane, 1)
    settle(conv, t)
  end
end

-- A job that waits leaves its line.
local function withdraw(id, conv)
  call('LREM', linekey(conv), 1, id)
  depth(get(id, 'lane'), -1)
end

-- → 'waiting' (gone now), 'running' (the worker was told) or 'gone'
local function cancel(id, t)
  local state, conv = fields(id, 'state', 'conv')
  if state == 'running' then
    call('HSET', jobkey(id), 'cancel', '1')
    call('PUBLISH', CANCELS, id)
  elseif state == 'waiting' then
    withdraw(id, conv)
    stop(id, conv, t)
  else
    return 'gone'
  end
  return state
end

-- The jobs of a conversation: the one in flight first.
local function jobs(conv)
  local out = call('LRANGE', linekey(conv), 0, -1)
  local busy = call('HGET', BUSY, conv)
  if busy then table.insert(out, 1, busy) end
  return out
end

-- Stop all that is to be said in a conversation, or to one author there. → was there anything?
local function hush(order, t)
  local any = false
  for _, id in ipairs(jobs(order.conv)) do
    if not order.author or get(id, 'author') == order.author then any = cancel(id, t) ~= 'gone' or any end
  end
  return any
end

-- The job is this worker's still?
local function held(id, fence)
  local state, current = fields(id, 'state', 'fence')
  return state == 'running' and current == fence
end

-- How many answers are due before this job's at least, itself included; 0 while it is being answered, -1 without it.
local function place(id)
  local state, conv, lane = fields(id, 'state', 'conv', 'lane')
  if state ~= 'waiting' then return state == 'running' and 0 or -1 end
  local mine = call('LPOS', linekey(conv), id) + 1
  if lane == 'background' then mine = mine + call('ZCARD', ready('live')) end
  local before = call('ZRANK', ready(lane), conv)
  return mine + (before or call('ZCOUNT', ready(lane), '-inf', '(' .. start(lane, conv) + 1))
end

-- A quick message of the person whose job is last in the line and was never claimed: one turn. → job id or nil
local function merge(job, t, limits)
  local last = call('LINDEX', linekey(job.conv), -1)
  if not last or job.merge == 0 then return nil end
  local author, replies, quick, first, latest, more =
    fields(last, 'author', 'replies', 'quick', 'submitted', 'latest', 'more')
  if author ~= job.author or replies ~= job.replies or quick ~= '1' or t - latest > job.merge then return nil end
  local added = more and cmsgpack.unpack(more) or {}
  if #added + #job.events >= limits.line then return nil end
  for _, event in ipairs(job.events) do added[#added + 1] = event end
  call('HSET', jobkey(last), 'more', cmsgpack.pack(added), 'latest', t)
  if job.delay > 0 then
    call('HSET', jobkey(last), 'after', math.min(t, first + (PUSHES - 1) * job.delay) + job.delay)
    settle(job.conv, t)
  end
  return last
end

-- How many answers a bound has counted within its window.
local function counted(bound, t)
  call('ZREMRANGEBYSCORE', bound.key, '-inf', t - bound.window)
  return call('ZCARD', bound.key)
end

-- Is something of this conversation still to be said, or has it been since `gate.time`?
local function speaking(gate, conv)
  local spoke = call('HGET', gate.about, 'spoke')
  return call('LLEN', linekey(conv)) > 0 or call('HEXISTS', BUSY, conv) == 1
    or (spoke and tonumber(spoke) >= gate.time)
end

-- What becomes of a job that its gate does not let in; nil if it does. Of a bound that is reached with `told`, people
-- are told once in its window: the answer is then the number of the bound, else 0.
local function barred(gate, job, t)
  if gate.about and speaking(gate, job.conv) then return {'heard', '', 0} end
  local turns = gate.turns
  if turns and (tonumber(call('GET', turns.key)) or 0) >= turns.most then
    call('EXPIRE', turns.key, DAY)  -- as long as bots go on they are not listened to
    return {'heard', '', 0}
  end
  for i, bound in ipairs(gate.bounds) do
    if counted(bound, t) >= bound.most then
      local told = bound.told and call('SET', bound.told, 1, 'NX', 'PX', bound.window)
      return {'over', '', told and i or 0}
    end
  end
end

local function count(gate, job, t)
  if gate.turns then
    call('INCR', gate.turns.key)
    call('EXPIRE', gate.turns.key, DAY)
  end
  for _, bound in ipairs(gate.bounds) do
    call('ZADD', bound.key, t, job.id)
    call('PEXPIRE', bound.key, bound.window)
  end
end

-- `limits.depth` is for each lane: files in the background refuse nobody who talks.
local function submit(job, t, limits, gate)
  if call('EXISTS', jobkey(job.id)) == 1 then return {'queued', job.id, place(job.id)} end
  local joined = merge(job, t, limits)
  if joined then return {'merged', joined, place(joined)} end
  local no = gate and barred(gate, job, t)
  if no then return no end
  local waiting, line = tonumber(call('HGET', DEPTH, job.lane)) or 0, call('LLEN', linekey(job.conv))
  if waiting >= limits.depth then return {'full', '', waiting} end
  if line >= limits.line then return {'full', '', line} end
  call('HSET', jobkey(job.id), 'payload', ARGV[job.payload], 'conv', job.conv, 'lane', job.lane, 'author', job.author,
    'replies', job.replies, 'state', 'waiting', 'attempts', 0, 'most', limits.attempts, 'submitted', t, 'latest', t,
    'after', job.delay > 0 and t + job.delay or 0, 'quick', job.merge > 0 and 1 or 0)
  call('RPUSH', linekey(job.conv), job.id)
  depth(job.lane, 1)
  if line == 0 then settle(job.conv, t) end
  if gate then count(gate, job, t) end
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

-- A batch of events, each heard once: {seen, line?, stop?, job?, gate?, reset?} → {what, job id, place, depth or bound}.
-- One that was seen before answers with the job it went to then: the first answer may have been lost on its way. What
-- stops something gets no answer.
-- Bodies are named by their place in ARGV (Redis's msgpack knows no binary type).
function ops.accept()
  local t, batch, limits, out = now(), cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3]), {}
  for i, item in ipairs(batch) do
    local known = item.seen and call('GET', item.seen)
    if known then
      out[i] = {'seen', known, place(known)}
    else
      if item.reset then call('DEL', item.reset) end
      if item.line then hear(item.line, limits.keep) end
      if item.stop and hush(item.stop, t) then
        out[i] = {'stopped', '', 0}
      else
        out[i] = item.job and submit(item.job, t, limits, item.gate) or {'heard', '', 0}
      end
      if item.seen then call('SET', item.seen, out[i][2], 'EX', limits.seen) end
    end
  end
  return cmsgpack.pack(out) -- one text: redis-py reads every element of a list for itself
end

local function reap(t)
  for _, id in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', t, 'LIMIT', 0, 200)) do
    retry(id, t, 0, 'the worker that had it went silent')
  end
  for _, conv in ipairs(call('ZRANGEBYSCORE', DELAYED, '-inf', t, 'LIMIT', 0, 200)) do settle(conv, t) end
end

-- Live first, but each `every`-th turn belongs to the background while both wait. nil: nobody waits.
local function next_lane(every)
  if call('EXISTS', ready('background')) == 0 then
    return call('EXISTS', ready('live')) == 1 and 'live' or nil
  end
  if call('EXISTS', ready('live')) == 0 then return 'background' end
  return every > 0 and call('INCR', P .. 'turn') % every == 0 and 'background' or 'live'
end

local function take(lane, t, worker, lease)
  local conv, score = unpack(call('ZPOPMIN', ready(lane)))
  local clock = math.floor(tonumber(score))
  call('SET', P .. 'clock:' .. lane, clock)
  call('ZREMRANGEBYSCORE', P .. 'spent:' .. lane, '-inf', clock)
  call('ZADD', P .. 'spent:' .. lane, clock + 1, conv)
  local id = call('LPOP', linekey(conv))
  local fence, attempts = call('INCR', P .. 'fence'), call('HINCRBY', jobkey(id), 'attempts', 1)
  call('HSET', jobkey(id), 'state', 'running', 'fence', fence, 'worker', worker, 'quick', 0)
  call('ZADD', LEASES, t + lease, id)
  call('HSET', BUSY, conv, id)
  depth(lane, -1)
  local payload, more = fields(id, 'payload', 'more')
  return {id, fence, attempts, payload, more or ''}
end

-- When nobody waits in a lane, not even behind a job in flight, its clock passes what everybody has had, and that is
-- forgotten.
local function rest(lane)
  local last = call('ZRANGE', P .. 'spent:' .. lane, -1, -1, 'WITHSCORES')[2]
  if not last or tonumber(call('HGET', DEPTH, lane)) > 0 then return end
  call('SET', P .. 'clock:' .. lane, last)
  call('DEL', P .. 'spent:' .. lane)
end

-- Milliseconds until something falls due by itself; -1: nothing will.
local function due(t)
  local first = -1
  for _, key in ipairs({DELAYED, LEASES}) do
    local at = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
    if at and (first < 0 or at - t < first) then first = math.max(0, at - t) end
  end
  return first
end

-- → {due, {id, fence, attempts, payload, added events} …}
function ops.claim()
  local t, worker, most, lease, every = now(), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  local out = {}
  reap(t)
  local lane = next_lane(every)
  while lane and #out < most do
    out[#out + 1] = take(lane, t, worker, lease)
    lane = next_lane(every)
  end
  if lane then
    ring()  -- there is more than this worker takes
  else
    call('DEL', BELL)
    rest('live')
    rest('background')
  end
  return {due(t), out}
end

-- {id, fence, …} → for each: 'held', 'cancel' or 'stale'. Held leases last `lease` from now.
function ops.beat()
  local t, lease, out = now(), tonumber(ARGV[2]), {}
  for i = 3, #ARGV, 2 do
    if held(ARGV[i], ARGV[i + 1]) then
      call('ZADD', LEASES, t + lease, ARGV[i])
      out[#out + 1] = get(ARGV[i], 'cancel') and 'cancel' or 'held'
    else
      out[#out + 1] = 'stale'
    end
  end
  return out
end

-- A partial reply, if somebody is there to show it. → 'held', 'cancel' or 'stale'
function ops.publish()
  local id, fence, body, carrier = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
  if not held(id, fence) then return 'stale' end
  if call('EXISTS', carrier) == 1 then send(get(id, 'replies'), body, now()) end
  return get(id, 'cancel') and 'cancel' or 'held'
end

-- Commands as they stand in ARGV from `at` on, `count` times: how many words, the words. → what stands behind them
local function apply(at, count, mine)
  for _ = 1, count do
    local words = tonumber(ARGV[at])
    if mine then call(unpack(ARGV, at + 1, at + words)) end
    at = at + words + 1
  end
  return at
end

-- {id, fence, reply, count, effects …} …: replies, and all that follows from each, at once or not at all.
-- → for each: 1, or 0 when the lease was lost
function ops.complete()
  local t, out, at = now(), {}, 2
  while ARGV[at] do
    local id, fence, body, count = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
    local state, current, conv, stream = fields(id, 'state', 'fence', 'conv', 'replies')
    local mine = state == 'running' and current == fence
    at = apply(at + 4, count, mine)
    if mine then
      send(stream, body, t)
      leave(id, conv)
      call('DEL', jobkey(id))
      settle(conv, t)
    end
    out[#out + 1] = mine and 1 or 0
  end
  return out
end

-- It could not be answered now: again after a delay, or (no attempts left, or `final`) to the dead letters.
-- → 'waiting', 'dead', 'gone' (it was cancelled) or 'stale'
function ops.fail()
  local id, fence, delay, reason, final = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6] == '1'
  if not held(id, fence) then return 'stale' end
  local conv, cancel = fields(id, 'conv', 'cancel')
  if final and not cancel then bury(id, conv, now(), reason) else retry(id, now(), delay, reason) end
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
  local t, out, gone = now(), 0, {}
  for i = 2, #ARGV do gone[ARGV[i]] = true end
  for _, id in ipairs(call('ZRANGE', LEASES, 0, -1)) do
    if gone[get(id, 'worker')] then
      retry(id, t, 0, 'the worker that had it died')
      out = out + 1
    end
  end
  return out
end

function ops.cancel() return cancel(ARGV[2], now()) end

function ops.place() return place(ARGV[2]) end

function ops.jobs() return jobs(ARGV[2]) end

-- Dead letters go to the end of their lines, with all attempts before them.
function ops.requeue()
  local t, out = now(), 0
  for i = 2, #ARGV do
    local id = ARGV[i]
    local state, conv, lane = fields(id, 'state', 'conv', 'lane')
    if state == 'dead' then
      call('ZREM', DEAD, id)
      call('HDEL', jobkey(id), 'reason', 'died')
      call('HSET', jobkey(id), 'state', 'waiting', 'attempts', 0, 'after', 0)
      call('RPUSH', linekey(conv), id)
      depth(lane, 1)
      settle(conv, t)
      out = out + 1
    end
  end
  return out
end

-- Forget a dead or waiting job without a word; a running one too, if ARGV[3] says so.
function ops.drop()
  local id = ARGV[2]
  local state, conv = fields(id, 'state', 'conv')
  if state == 'dead' then
    call('ZREM', DEAD, id)
  elseif state == 'waiting' then
    withdraw(id, conv)
  elseif state == 'running' and ARGV[3] == '1' then
    leave(id, conv)
  else
    return 0
  end
  call('DEL', jobkey(id))
  settle(conv, now())
  return 1
end

-- A running job goes back to the head of its line, to be composed anew: what it was told no longer holds.
function ops.recall()
  local id = ARGV[2]
  if get(id, 'state') ~= 'running' then return 0 end
  call('HINCRBY', jobkey(id), 'attempts', -1)
  retry(id, now(), 0, 'it was called back')
  return 1
end

-- What a conversation (ARGV[2]) holds, for whoever wants it to be another (ARGV[3]): jobs, dead ones too, and of both
-- the order, lines and summary, whose keys are ARGV[4] to ARGV[9].
local function view()
  local ids, found = jobs(ARGV[2]), {}
  for _, id in ipairs(call('ZRANGE', DEAD, 0, -1)) do
    if get(id, 'conv') == ARGV[2] then ids[#ids + 1] = id end
  end
  for i, id in ipairs(ids) do
    local payload, more = fields(id, 'payload', 'more')
    found[i] = {id, payload, more or ''}
  end
  local out = {found}
  for at = 4, 9, 3 do
    out[#out + 1] = call('ZRANGE', ARGV[at], 0, -1, 'WITHSCORES')
    out[#out + 1] = call('HGETALL', ARGV[at + 1])
    out[#out + 1] = call('HGETALL', ARGV[at + 2])
  end
  return redis.sha1hex(cmsgpack.pack(out)), out
end

function ops.view() return {view()} end

-- A conversation goes on as another one, before whatever that has: if it is still as in the view with this mark
-- (ARGV[10]), else nothing happens. {count, {id, payload, more} …}: its jobs as they are from now on; then effects.
-- What runs begins anew, first in line: its worker knows the old one. → 1 or 0
function ops.move()
  local t, old, new = now(), ARGV[2], ARGV[3]
  if view() ~= ARGV[10] then return 0 end
  local busy = call('HGET', BUSY, old)
  if busy then
    call('HINCRBY', jobkey(busy), 'attempts', -1)
    retry(busy, t, 0, 'its conversation moved')
  end
  local at = 12
  for _ = 1, tonumber(ARGV[11]) do
    local key, payload, more = jobkey(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
    if call('EXISTS', key) == 1 then  -- one that was to be stopped is gone by now
      call('HSET', key, 'payload', payload, 'conv', new)
      if more ~= '' then call('HSET', key, 'more', more) end
    end
    at = at + 3
  end
  local line = call('LRANGE', linekey(old), 0, -1)
  call('DEL', linekey(old))
  settle(old, t)
  for i = #line, 1, -1 do call('LPUSH', linekey(new), line[i]) end
  for _, lane in ipairs({'live', 'background'}) do
    local spent = call('ZSCORE', P .. 'spent:' .. lane, old)
    if spent then call('ZADD', P .. 'spent:' .. lane, 'GT', spent, new) end
    call('ZREM', P .. 'spent:' .. lane, old)
  end
  apply(at + 1, tonumber(ARGV[at]), true)
  settle(new, t)
  return 1
end

return ops[ARGV[1]]()
