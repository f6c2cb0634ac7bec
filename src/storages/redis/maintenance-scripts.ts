/** KEYS: lease. ARGV: holder, time in ms. Returns 1 if nobody else holds the lease. */
export const LEASE = `
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
`;

/** KEYS: any. Returns the time of the server, in ms since 1970. */
export const NOW = `
local time = redis.call('TIME')
return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
`;

/**
 * KEYS: retention. ARGV: 1 to replace later starts, 0 to keep them. For each part follow its name, its time, and the
 * start of what is kept (empty for none).
 */
export const RETAIN = `
for a = 2, #ARGV, 3 do
  local before = ARGV[a + 2]
  local stored = string.match(redis.call('HGET', KEYS[1], ARGV[a]) or '', ' (%-?%d+)$')
  if ARGV[1] == '0' and stored and (before == '' or tonumber(stored) > tonumber(before)) then before = stored end
  redis.call('HSET', KEYS[1], ARGV[a], ARGV[a + 1] .. ' ' .. before)
end
return 1
`;

/** KEYS: keys of one slot. ARGV: for each the time at which it expires, in ms; 0 for never. */
export const EXPIRE = `
for k = 1, #KEYS do
  if ARGV[k] == '0' then redis.call('PERSIST', KEYS[k]) else redis.call('PEXPIREAT', KEYS[k], ARGV[k]) end
end
return 1
`;

/** KEYS: buckets, and a bucket's sums and tops. ARGV: the bucket's date. Returns the number of deleted rows. */
export const DROP = `
local rows = redis.call('HLEN', KEYS[2])
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[1], ARGV[1])
return rows
`;

/**
 * KEYS: stream. ARGV: exclusive end of the deleted IDs in ms, maximum number of entries. Returns the number of deleted
 * entries.
 */
export const TRIM = `
local found = redis.call('XRANGE', KEYS[1], '-', '(' .. ARGV[1] .. '-0', 'COUNT', ARGV[2])
if #found == 0 then return 0 end
if #found < tonumber(ARGV[2]) then return redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1]) end
local ms, number = string.match(found[#found][1], '^(%d+)-(%d+)$')
local next = string.format('%s-%.0f', ms, tonumber(number) + 1)
return redis.call('XTRIM', KEYS[1], 'MINID', '=', next)
`;

/**
 * KEYS: stream. ARGV: first and last ID, number of entries to read, exclusive end of the deleted dates in ms. Returns
 * the number of deleted entries, and the last ID that was read if there may be more.
 */
export const TRIM_LATE = `
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
local late = {}
for n = 1, #found do
  if tonumber(found[n][2][2]) < tonumber(ARGV[4]) then late[#late + 1] = found[n][1] end
end
if #late > 0 then redis.call('XDEL', KEYS[1], unpack(late)) end
return {#late, #found == tonumber(ARGV[3]) and found[#found][1]}
`;

/**
 * KEYS: stream. ARGV: first ID, number of entries to read, part of the JSON. Returns the last ID that was read if there
 * may be more, and the ID and the JSON of each entry that contains the part.
 */
export const FIND = `
local found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local answer = {#found > 0 and found[#found][1]}
for n = 1, #found do
  local json = found[n][2][4]
  if string.find(json, ARGV[3], 1, true) then
    answer[#answer + 1] = found[n][1]
    answer[#answer + 1] = json
  end
end
return answer
`;

/**
 * KEYS: stream, copy. ARGV: last copied ID (empty to begin), number of entries. Copies entries. At the end, replaces
 * the stream with the copy, which holds nothing of deleted entries. Returns the last copied ID, `done`, or `changed` if
 * other entries were deleted meanwhile.
 */
export const COPY = `
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
if ARGV[1] == '' then redis.call('UNLINK', KEYS[2]) end
if redis.call('XLEN', KEYS[1]) == 0 then return 'done' end
local found = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', ARGV[2])
for n = 1, #found do redis.call('XADD', KEYS[2], found[n][1], unpack(found[n][2])) end
redis.call('PEXPIRE', KEYS[2], 3600000)
if #found == tonumber(ARGV[2]) then return found[#found][1] end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
redis.call('XTRIM', KEYS[2], 'MINID', '=', first)
-- Every entry of the stream was copied, so both have the same ones if they have the same number.
if redis.call('XLEN', KEYS[1]) ~= redis.call('XLEN', KEYS[2]) then
  redis.call('UNLINK', KEYS[2])
  return 'changed'
end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for n = 1, #info, 2 do
  if info[n] == 'last-generated-id' then redis.call('XSETID', KEYS[2], info[n + 1]) end
end
redis.call('PERSIST', KEYS[2])
redis.call('RENAME', KEYS[2], KEYS[1])
return 'done'
`;

/**
 * KEYS: buckets, and for each bucket its sums and tops. Returns the number of rows, and the bytes of the sums and of
 * the sorted sets; -1 if the server does not report them.
 */
export const SIZE = `
local rows, sums, indexes = 0, 0, 0
local function bytesOf(key)
  local found = redis.pcall('MEMORY', 'USAGE', key)
  if type(found) == 'table' then return nil end
  return found or 0
end
local known = bytesOf(KEYS[1])
indexes = known or 0
for k = 2, #KEYS, 2 do
  rows = rows + redis.call('HLEN', KEYS[k])
  if known then
    sums = sums + bytesOf(KEYS[k])
    indexes = indexes + bytesOf(KEYS[k + 1])
  end
end
return {rows, known and sums or -1, known and indexes or -1}
`;
