-- One is put back into a bucket from which it was taken for nothing.
--
-- KEYS: the bucket. ARGV: the microseconds between two, and those of its window. A bucket is what `gcra.lua` says; one that
-- is full, or is of another rate, stays as it is, so that no bucket gets better than full.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]))
if not (full and full >= now and full <= now + window) then
    return 0
end
full = full - interval
if full <= now then
    redis.call('DEL', KEYS[1])
else
    redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
end
return 1
