-- One decision over several buckets: something is taken from each of them, or from none.
--
-- KEYS: the buckets, the narrowest first. ARGV: for each of them the microseconds between two, and those of its window.
-- Answers {0, 0}, or {which bucket refuses, from 1; microseconds until it would not}.
--
-- A bucket is the time at which it will be full again, in microseconds of this server's own clock: replicas whose
-- clocks differ still agree. What is not there is full, so a key lives no longer than its bucket has a story, and as
-- what is refused writes nothing, the limits bound the number of keys too.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = {}
for i, key in ipairs(KEYS) do
    local interval, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local full = tonumber(redis.call('GET', key))
    -- Further away than its window is only what was written under another rate or another clock.
    -- Asked this way round as every comparison with "nan", which is a number to Lua, is false.
    if not (full and full >= now and full <= now + window) then
        full = now
    end
    full_at[i] = full + interval
    if full_at[i] > now + window then
        return { i, full_at[i] - now - window }
    end
end
for i, key in ipairs(KEYS) do
    -- Lua writes large numbers with an exponent unless it is told not to.
    redis.call('SET', key, string.format('%.0f', full_at[i]), 'PX', math.ceil((full_at[i] - now) / 1000))
end
return { 0, 0 }
