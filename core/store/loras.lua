-- Which LoRA a persona serves with. `core/store/loras.py` is the only caller.
-- KEYS: the persona's LoRAs, the set of all personas that have some. ARGV: what to do, the persona, the time, and more.

local PAST, EARLIER = 50, 10 -- what is kept of the history, and of the versions that a rollback goes back to

local persona, now = ARGV[2], tonumber(ARGV[3])
local body = redis.call('GET', KEYS[1])
local it = body and cmsgpack.unpack(body) or {live = 'base', canary = '', share = 0, before = {}, history = {}}

local function keep()
  redis.call('SET', KEYS[1], cmsgpack.pack(it))
  redis.call('SADD', KEYS[2], persona)
end

local function without(version)
  for at = #it.before, 1, -1 do
    if it.before[at] == version then table.remove(it.before, at) end
  end
end

-- Every change of what is live ends a trial: it was one against what was live before.
local function live(version, why)
  it.live, it.canary, it.share = version, '', 0
  table.insert(it.history, 1, {version = version, time = now, why = why})
  it.history[PAST + 1] = nil
end

local function back(why) live(table.remove(it.before, 1) or 'base', why) end

local ops = {}

function ops.promote()
  local version, why = ARGV[4], ARGV[5]
  if version == it.live then
    it.canary, it.share = '', 0
  else
    without(version)
    if it.live ~= 'base' or #it.before > 0 then table.insert(it.before, 1, it.live) end
    it.before[EARLIER + 1] = nil
    live(version, why)
  end
  keep()
end

function ops.canary()
  it.canary, it.share = ARGV[4], tonumber(ARGV[5])
  keep()
end

-- To the version before; what was live is no fallback any more. Where there is nothing to go back to, only a trial ends.
function ops.rollback()
  if it.live ~= 'base' or #it.before > 0 then
    back('rollback')
  elseif it.canary ~= '' then
    it.canary, it.share = '', 0
  else
    return
  end
  keep()
end

-- As if this version had never been good. The history keeps that it was live.
function ops.withdraw()
  local version = ARGV[4]
  without(version)
  if it.canary == version then it.canary, it.share = '', 0 end
  if it.live == version then back('removed') end
  keep()
end

ops[ARGV[1]]()
return it.live
