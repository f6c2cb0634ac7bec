/** KEYS: visitor keys. ARGV: day, proposed key, first day that is kept. Returns the day's key. */
export const VISITOR_KEY = `
for _, day in ipairs(redis.call('HKEYS', KEYS[1])) do
  if day < ARGV[3] then redis.call('HDEL', KEYS[1], day) end
end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
`;

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
 * KEYS: guard, buckets, reserved, and for each bucket its sums and tops. ARGV: position, number of preceding rows,
 * expiry of the buckets (ms, 0 for never), journal. For each bucket follow its date, its time in ms, its expiry, its
 * number of rows, which of them has the key null (0 for none), and 1 if they are its last ones. For each row follow
 * its key and `hits transfer errors duration`.
 *
 * Existing values are read and written for many rows per command. One command per row would cost four times
 * as much. Rows without hits are removed.
 */
export const ADD = `${GUARD}
check(KEYS[2], 'zset')
check(KEYS[3], 'hash')
for k = 4, #KEYS, 2 do
  check(KEYS[k], 'hash')
  check(KEYS[k + 1], 'zset')
end

local NUMBERS = '^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+)$'
local match, format, sub, LARGE = string.match, string.format, string.sub, 9007199254740992

-- Split into two parts of 15 digits with the same sign, because Lua's numbers are doubles.
local function parts(number)
  local sign, digits = match(number, '^(%-?)(%d+)$')
  local low, high = tonumber(sub(digits, -15)), tonumber(sub(digits, 1, -16)) or 0
  if sign == '-' then return -low, -high end
  return low, high
end

local function add(a, b)
  local lowA, highA = parts(a)
  local lowB, highB = parts(b)
  local low, high = lowA + lowB, highA + highB
  local sign = (high < 0 or high == 0 and low < 0) and '-' or ''
  if sign == '-' then low, high = -low, -high end
  if low >= 1e15 then low, high = low - 1e15, high + 1 end
  if low < 0 then low, high = low + 1e15, high - 1 end
  if high == 0 then return format('%s%.0f', sign, low) end
  return format('%s%.0f%015.0f', sign, high, low)
end

local function isSmall(number)
  return number < LARGE and number > -LARGE
end

local reserved = redis.call('EXISTS', KEYS[3]) == 1
local a = 5
for k = 4, #KEYS, 2 do
  local date, ms, expires, rows, null = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  local isLast = ARGV[a + 5] == '1'
  a = a + 6
  local first = math.max(0, math.min(rows, done - row))
  if first < rows then
    local keys = {}
    for n = first, rows - 1 do
      keys[#keys + 1] = n + 1 == null and '\\255' or ARGV[a + 2 * n]
    end
    local found = redis.call('HMGET', KEYS[k], unpack(keys))
    local sums, tops, gone = {}, {}, {}
    for n = 1, #keys do
      local value = ARGV[a + 2 * (first + n) - 1]
      local hits, transfer, errors, duration
      if found[n] then hits, transfer, errors, duration = match(found[n], NUMBERS) end
      if hits then
        local h, t, e, d = match(value, NUMBERS)
        local sumH, sumT, sumE, sumD = hits + h, transfer + t, errors + e, duration + d
        if isSmall(sumH) and isSmall(sumT) and isSmall(sumE) and isSmall(sumD) then
          value = format('%d %d %d %d', sumH, sumT, sumE, sumD)
        else
          value = add(hits, h) .. ' ' .. add(transfer, t) .. ' ' .. add(errors, e) .. ' ' .. add(duration, d)
        end
      end
      local count = match(value, '^%-?%d+')
      if count == '0' then
        gone[#gone + 1] = keys[n]
      else
        sums[#sums + 1] = keys[n]
        sums[#sums + 1] = value
        tops[#tops + 1] = sub(count, 1, 1) == '-' and sub(count, 2) or '-' .. count
        tops[#tops + 1] = keys[n]
      end
    end
    if #sums > 0 then
      redis.call('HSET', KEYS[k], unpack(sums))
      redis.call('ZADD', KEYS[k + 1], unpack(tops))
      redis.call('ZADD', KEYS[2], ms, date)
    end
    if #gone > 0 then
      redis.call('HDEL', KEYS[k], unpack(gone))
      redis.call('ZREM', KEYS[k + 1], unpack(gone))
    end
    if expires ~= '0' then
      redis.call('PEXPIREAT', KEYS[k], expires)
      redis.call('PEXPIREAT', KEYS[k + 1], expires)
    end
  end
  if isLast and reserved then redis.call('HDEL', KEYS[3], date .. ' ' .. ARGV[4]) end
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
 * down to the entry `until`. Its field `trimmed` is an exclusive end of the records that were removed because there
 * were too many.
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
if redis.call('XTRIM', KEYS[2], 'MAXLEN', '=', ARGV[3]) > 0 then
  local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  local ms, number = string.match(first[1], '^(%d+)-(%d+)$')
  -- The first entry of a millisecond has the number 0. Before any other one, a record of the same date may be gone.
  local before = tonumber(ms) + (number == '0' and 0 or 1)
  redis.call('HSET', KEYS[3], 'trimmed', string.format('%.0f', before))
end
if row > done then redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. row) end
return 1
`;

/** KEYS: late. ARGV: exclusive end of records that are not kept. */
export const SKIP = `
local before = redis.call('HGET', KEYS[1], 'trimmed')
if not before or tonumber(before) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'trimmed', ARGV[1]) end
return 1
`;

/**
 * KEYS: journals. ARGV: journal, from, to, start and end of the batch's range, site, time zone. Marks a batch as in
 * progress. Returns 1 if the journal exists and its position is `from`, otherwise 0. Returns 2 if the batch must not begin
 * yet, because a recount of its range is reading: see `PAUSE`. Returns 3 if the time zone of the site has been changed to
 * another one: see `SET_ZONE`.
 */
export const BEGIN = `
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local position, ordinal, rest = string.match(found, '^(%d+) (%d+)(.*)$')
if position ~= ARGV[2] then return 0 end
local zone = redis.call('HGET', KEYS[1], 'zone ' .. ARGV[6])
if zone and zone ~= ARGV[7] then return 3 end
local pause = redis.call('HGET', KEYS[1], 'recount ' .. ARGV[6])
if pause and rest == '' then
  local finish, from, to = string.match(pause, '^(%d+) (%-?%d+) (%-?%d+)$')
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000
  if now < tonumber(finish) and tonumber(ARGV[4]) <= tonumber(to) and tonumber(ARGV[5]) >= tonumber(from) then
    return 2
  end
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat({position, ordinal, ARGV[3], ARGV[4], ARGV[5], ARGV[6]}, ' '))
return 1
`;

/** KEYS: journals. Returns alternating journals and entries. */
export const JOURNALS = `return redis.call('HGETALL', KEYS[1])`;

/**
 * KEYS: journals. ARGV: site, start and end of a range, time in ms. For this time, no batch of the range begins. Those
 * in progress continue. 0 ends the pause.
 */
export const PAUSE = `
local field = 'recount ' .. ARGV[1]
if ARGV[4] == '0' then return redis.call('HDEL', KEYS[1], field) end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
redis.call('HSET', KEYS[1], field, string.format('%.0f %s %s', now + ARGV[4], ARGV[2], ARGV[3]))
return 1
`;

/**
 * KEYS: journals. ARGV: site, time zone. Stores the zone of the batches that may begin. Changes nothing and returns 0 if a
 * batch of the site is in progress, otherwise returns 1.
 */
export const SET_ZONE = `
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  if string.match(entry, '^%d+ %d+ %d+ %-?%d+ %-?%d+ (.*)$') == ARGV[1] then return 0 end
end
redis.call('HSET', KEYS[1], 'zone ' .. ARGV[1], ARGV[2])
return 1
`;

/**
 * KEYS: journals. ARGV: journal, from, to, ordinal. Returns 1 if the journal exists and its position was
 * `from`. The batch is no longer in progress.
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

/** KEYS: sums. ARGV: 1 for the key null, otherwise 0 and the key. Returns its numbers. */
export const ONE = `return redis.call('HGET', KEYS[1], ARGV[1] == '1' and '\\255' or ARGV[2])`;

/**
 * Room that batches have reserved, by date: of the own journal, and of all others. Reservations older than a day are
 * removed: their batch was lost.
 */
const RESERVED = `
local own, others = {}, {}
local now = tonumber(redis.call('TIME')[1])
local all = redis.call('HGETALL', KEYS[1])
for n = 1, #all, 2 do
  local date, journal = string.match(all[n], '^(%S+) (%S+)$')
  local count, time = string.match(all[n + 1], '^(%d+) (%d+)$')
  if now - tonumber(time) > 86400 then
    redis.call('HDEL', KEYS[1], all[n])
  elseif journal == ARGV[1] then
    own[date] = tonumber(count)
  else
    others[date] = (others[date] or 0) + tonumber(count)
  end
end
local function reserve(date, count)
  local field = date .. ' ' .. ARGV[1]
  if count == 0 then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HSET', KEYS[1], field, count .. ' ' .. now)
    redis.call('PEXPIRE', KEYS[1], 86400000)
  end
end
`;

/**
 * KEYS: reserved, and for each bucket its sums. ARGV: journal. For each bucket follow its date, its maximum number of
 * keys, and the number of keys of the batch. For each bucket, reserves room for all of these keys and returns 1, or
 * reserves nothing and returns 0.
 */
export const RESERVE = `${RESERVED}
local answer = {}
for k = 2, #KEYS do
  local a = 3 * k - 4
  local date, most, count = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local fits = redis.call('HLEN', KEYS[k]) + (others[date] or 0) + count <= most
  reserve(date, fits and count or 0)
  answer[k - 1] = fits and 1 or 0
end
return answer
`;

/**
 * KEYS: reserved, sums. ARGV: journal, date, maximum number of keys, and keys of the batch. Reserves room for the keys
 * that are not in the bucket, as long as there is room. Returns a text of 1 for each key that has room, 0 for others.
 */
export const RESERVE_KEYS = `${RESERVED}
local date = ARGV[2]
local reserved = own[date] or 0
local exempt = redis.call('HEXISTS', KEYS[2], '\\255') + redis.call('HEXISTS', KEYS[2], '')
local room = tonumber(ARGV[3]) - (redis.call('HLEN', KEYS[2]) - exempt) - reserved - (others[date] or 0)
local found = redis.call('HMGET', KEYS[2], unpack(ARGV, 4))
local answer = {}
for n = 1, #found do
  local fits = found[n] ~= false
  if not fits and room > 0 then fits, room, reserved = true, room - 1, reserved + 1 end
  answer[n] = fits and '1' or '0'
end
reserve(date, reserved)
return table.concat(answer)
`;
