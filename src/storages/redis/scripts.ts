/**
 * Lua scripts. Redis runs one at a time and writes its changes to the append-only file as a unit. Each script
 * uses one slot, and changes nothing before the last step that can fail.
 *
 * A batch takes many calls, each of which must apply once. A guard next to the changed keys records the
 * progress: `position rows`, where the position is the end of the batch. Rows are counted in the order of the
 * batch, which is the same on each retry. The number of rows per call may change between releases.
 */
const GUARD = `
local position, row, done = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
local guard = redis.call('GET', KEYS[1])
if guard then
  local stored, rows = string.match(guard, '^(%d+) (%d+)$')
  if tonumber(stored) > position then return 0 end
  if tonumber(stored) == position then done = tonumber(rows) end
end
if done < row then return redis.error_reply('ERR track-usage: the rows before these are missing') end
local function check(key, wanted)
  local found = redis.call('TYPE', key).ok
  if found == wanted or found == 'none' then return end
  error('track-usage: the key ' .. key .. ' is a ' .. found .. ' of somebody else')
end
`;

/**
 * KEYS: guard, buckets, and for each bucket its sums and tops. ARGV: position, number of preceding rows,
 * expiry of the buckets (ms, 0 for never). For each bucket follow its date, its time in ms, its expiry, and
 * its number of rows. For each row follow its key and `hits transfer errors duration`.
 *
 * Existing values are read and written for many rows per command. One command per row would cost four times
 * as much.
 */
export const ADD = `${GUARD}
check(KEYS[2], 'zset')
for k = 3, #KEYS, 2 do
  check(KEYS[k], 'hash')
  check(KEYS[k + 1], 'zset')
end

local NUMBERS = '^(%d+) (%d+) (%d+) (%d+)$'
local match, format, sub, LARGE = string.match, string.format, string.sub, 9007199254740992

-- Split into two parts of 15 digits, because Lua's numbers are doubles.
local function add(a, b)
  local low = tonumber(sub(a, -15)) + tonumber(sub(b, -15))
  local high = (tonumber(sub(a, 1, -16)) or 0) + (tonumber(sub(b, 1, -16)) or 0)
  if low >= 1e15 then low, high = low - 1e15, high + 1 end
  if high == 0 then return format('%.0f', low) end
  return format('%.0f%015.0f', high, low)
end

local a = 4
for k = 3, #KEYS, 2 do
  local date, ms, expires, rows = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  a = a + 4
  local first = math.max(0, math.min(rows, done - row))
  if first < rows then
    local keys = {}
    for n = first, rows - 1 do
      local key = ARGV[a + 2 * n]
      keys[#keys + 1] = key == '' and '\\255' or key
    end
    local found = redis.call('HMGET', KEYS[k], unpack(keys))
    local sums, tops = {}, {}
    for n = 1, #keys do
      local value = ARGV[a + 2 * (first + n) - 1]
      local hits, transfer, errors, duration
      if found[n] then hits, transfer, errors, duration = match(found[n], NUMBERS) end
      if hits then
        local h, t, e, d = match(value, NUMBERS)
        local sumH, sumT, sumD = hits + h, transfer + t, duration + d
        if sumH < LARGE and sumT < LARGE and sumD < LARGE then
          value = format('%d %d %d %d', sumH, sumT, errors + e, sumD)
        else
          value = add(hits, h) .. ' ' .. add(transfer, t) .. ' ' .. add(errors, e) .. ' ' .. add(duration, d)
        end
      end
      sums[2 * n - 1], sums[2 * n] = keys[n], value
      tops[2 * n - 1], tops[2 * n] = '-' .. match(value, '^%d+'), keys[n]
    end
    redis.call('HSET', KEYS[k], unpack(sums))
    redis.call('ZADD', KEYS[k + 1], unpack(tops))
    redis.call('ZADD', KEYS[2], ms, date)
    if expires ~= '0' then
      redis.call('PEXPIREAT', KEYS[k], expires)
      redis.call('PEXPIREAT', KEYS[k + 1], expires)
    end
  end
  a = a + 2 * rows
  row = row + rows
end
if ARGV[3] ~= '0' then redis.call('PEXPIREAT', KEYS[2], ARGV[3]) end
if row > done then redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. row) end
return 1
`;

/**
 * KEYS: guard, stream, late. ARGV: position, number of preceding rows, maximum number of records, lateness
 * that is not recorded. For each record follow its date and its JSON.
 *
 * An entry's ID is the record's date. If a later entry exists, it is that entry's date instead, because IDs
 * only increase. So no record is newer than its ID. `late` holds how much older a record may be: by `ms`,
 * down to the entry `until`.
 */
export const RECORD = `${GUARD}
check(KEYS[2], 'stream')
check(KEYS[3], 'hash')
local last = 0
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for n = 1, #info, 2 do
    if info[n] == 'last-generated-id' then last = tonumber(string.match(info[n + 1], '^%d+')) end
  end
end
local late, latest = 0, nil
for a = 5, #ARGV, 2 do
  if row >= done then
    local date = tonumber(ARGV[a])
    if date > last then last = date end
    local id = redis.call('XADD', KEYS[2], string.format('%.0f-*', last), 'date', ARGV[a], 'record', ARGV[a + 1])
    if last - date > tonumber(ARGV[4]) then
      late, latest = math.max(late, last - date), id
    end
  end
  row = row + 1
end
if latest then
  local before = redis.call('HGET', KEYS[3], 'ms')
  redis.call('HSET', KEYS[3], 'ms', string.format('%.0f', math.max(late, tonumber(before or 0))), 'until', latest)
end
redis.call('XTRIM', KEYS[2], 'MAXLEN', '=', ARGV[3])
if row > done then redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. row) end
return 1
`;

/**
 * KEYS: journals. ARGV: journal, from, to, ordinal. Returns 1 if the journal exists and its position was
 * `from`.
 */
export const MOVE = `
local found = redis.call('HGET', KEYS[1], ARGV[1])
if not found or string.match(found, '^%d+') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. ' ' .. ARGV[4])
return 1
`;

/** KEYS: sums, tops. ARGV: first and last rank. Returns alternating keys (nil for null) and numbers. */
export const PAGE = `
local keys = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2])
if #keys == 0 then return {} end
local found = redis.call('HMGET', KEYS[1], unpack(keys))
local answer = {}
for n = 1, #keys do
  answer[2 * n - 1] = keys[n] ~= '\\255' and keys[n]
  answer[2 * n] = found[n]
end
return answer
`;

/** KEYS: sums. ARGV: a key, empty for null. Returns its numbers. */
export const ONE = `return redis.call('HGET', KEYS[1], ARGV[1] == '' and '\\255' or ARGV[1])`;
