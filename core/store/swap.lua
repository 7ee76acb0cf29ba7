-- Look at something, or change it if it is still as it was seen. `core/store/swap.py` is the only caller.
-- ARGV: how many reads, each as (how many words, the words); the mark of what was seen, or ''; what to do, likewise.
-- → {mark, what was read}; with a mark given: {'', …} if it is another by now, and nothing was done

local function commands(at)
  local answers, count = {}, tonumber(ARGV[at])
  at = at + 1
  for i = 1, count do
    local words = tonumber(ARGV[at])
    answers[i] = redis.call(unpack(ARGV, at + 1, at + words))
    at = at + words + 1
  end
  return answers, at
end

local found, at = commands(1)
local mark = redis.sha1hex(cmsgpack.pack(found))
if ARGV[at] == '' then return {mark, found} end
if ARGV[at] ~= mark then return {'', {}} end
commands(at + 1)
return {mark, {}}
