-- Which LoRA a persona serves with. `core/store/loras.py` is the only caller.
-- KEYS: the persona's LoRAs, the set of all personas that have some, the tainted versions, and those that were deleted
-- lately. ARGV: what to do, the persona, the time, and more. → (what is live now, why it was refused: '', 'pinned',
-- 'tainted', 'gone', 'used' or 'changed')

local PAST, EARLIER = 50, 10 -- what is kept of the history, and of the versions that a rollback goes back to

local persona, now = ARGV[2], tonumber(ARGV[3])
local body = redis.call('GET', KEYS[1])
local it = body and cmsgpack.unpack(body) or {live = 'base', canary = '', share = 0, before = {}, history = {}}

local function by_hand(why) if why ~= 'night' then it.touched = now end end

local function keep()
  redis.call('SET', KEYS[1], cmsgpack.pack(it))
  redis.call('SADD', KEYS[2], persona)
end

local function without(version)
  for at = #it.before, 1, -1 do
    if it.before[at] == version then table.remove(it.before, at) end
  end
end

-- What somebody was promised to be forgotten by serves nobody; what was pinned is not a night's to change; and what was
-- judged against one version does not take the place of another (`live` and `canary`, where they are given).
local function refused(version, why, live, canary)
  if redis.call('ZSCORE', KEYS[3], version) then return 'tainted' end
  if redis.call('ZSCORE', KEYS[4], version) then return 'gone' end
  for _, entry in ipairs(it.history) do
    if entry.gone and entry.version == version then return 'gone' end
  end
  if it.pinned and why == 'night' then return 'pinned' end
  return live and (live ~= it.live or canary ~= it.canary) and 'changed' or nil
end

local function past(version, why)
  table.insert(it.history, 1, {version = version, time = now, why = why})
  it.history[PAST + 1] = nil
end

local function no_trial() it.canary, it.share, it.began = '', 0, 0 end

-- Every change of what is live ends a trial: it was one against what was live before.
local function live(version, why)
  it.live = version
  no_trial()
  past(version, why)
end

local function back(why) live(table.remove(it.before, 1) or 'base', why) end

local function promote(version, why)
  if version == it.live then return no_trial() end
  without(version)
  if it.live ~= 'base' or #it.before > 0 then table.insert(it.before, 1, it.live) end
  it.before[EARLIER + 1] = nil
  live(version, why)
end

local ops = {}

function ops.promote()
  local version, why = ARGV[4], ARGV[5]
  local no = refused(version, why, ARGV[6], ARGV[7])
  if no then return no end
  by_hand(why)
  promote(version, why)
  keep()
end

-- Another share for the one on trial does not begin its trial anew.
function ops.canary()
  local version, share, why = ARGV[4], tonumber(ARGV[5]), ARGV[6]
  local no = version ~= '' and refused(version, why, ARGV[7], ARGV[8])
  if no then return no end
  by_hand(why)
  if version == '' then
    no_trial()
  else
    if version ~= it.canary then it.began = now end
    it.canary, it.share = version, share
  end
  keep()
end

-- A trial is decided; nothing happens if it is not on any more.
function ops.settle()
  local version, won, why = ARGV[4], ARGV[5] == '1', ARGV[6]
  if it.canary ~= version or version == '' then return end
  if won then
    promote(version, why)
  else
    no_trial()
    past(version, why)
  end
  keep()
end

-- While a trial is on, only that ends: the old voice is the one that is live. Else to the version before; what was live
-- is no fallback any more.
function ops.rollback()
  if it.canary ~= '' then
    no_trial()
  elseif it.live ~= 'base' or #it.before > 0 then
    back('rollback')
  else
    return
  end
  by_hand()
  keep()
end

function ops.pin()
  local version = ARGV[4]
  local no = version ~= '' and refused(version, 'command')
  if no then return no end
  by_hand()
  if version ~= '' then promote(version, 'command') end
  it.pinned = version ~= ''
  keep()
end

-- As if these versions had never been good. The history keeps that they were live. A pin goes with what it held.
function ops.withdraw()
  local gone = {}
  for at = 5, #ARGV do
    gone[ARGV[at]] = true
    without(ARGV[at])
  end
  if gone[it.canary] then no_trial() end
  if gone[it.live] then
    it.pinned = false
    back(ARGV[4])
  end
  keep()
end

-- The files of a version made at a time are about to be deleted, because nobody speaks with it, goes back to it, or did
-- in so many seconds; nor has anybody changed anything by hand since. By this server's clock: a worker's may jump, and
-- nothing brings files back.
function ops.let_go()
  local version, made, seconds = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
  local since = tonumber(redis.call('TIME')[1]) - seconds
  if not body or version == it.live or version == it.canary then return 'used' end -- without one, it is just moving
  if made > since or (it.touched or 0) > since then return 'used' end
  for _, earlier in ipairs(it.before) do
    if earlier == version then return 'used' end
  end
  for _, entry in ipairs(it.history) do
    if entry.version == version and entry.time > since then return 'used' end
  end
  for _, entry in ipairs(it.history) do
    if entry.version == version then entry.gone = true end
  end
  redis.call('ZADD', KEYS[4], now, version)
  keep()
end

local no = ops[ARGV[1]]()
return {it.live, no or ''}
