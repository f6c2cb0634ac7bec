/**
 * Every error that this library throws, rejects with or reports, by code.
 * The message says what happened, and with which value. The hint says what to do.
 */
const TABLE = {
  OPTION_UNKNOWN: ['unknown option "{name}" in {where}', 'remove it or use one of: {known}'],
  OPTION_INVALID: ['option "{name}" is {value}', 'expected {expected}'],
  APP_UNKNOWN: [
    'cannot track {value}: not an app of Express, Fastify, Koa, Hono or NestJS, and not a Node server',
    'pass the app, or the server that http.createServer() returned',
  ],
  APP_STARTED: [
    'this Fastify app accepts no more hooks: {reason}',
    'create the TrackUsage before app.listen(), app.ready() and app.inject()',
  ],
  TRUST_PROXY_UNUSED: [
    'the option "trustProxy" has no effect on {framework}, which has its own setting',
    'remove "trustProxy", and set {setting}',
  ],
  APP_TRACKED: ['this app is already tracked', 'create one TrackUsage for each app and share it'],
  STORAGE_INVALID: [
    '{value} is neither a storage nor a writer',
    'pass an instance such as new SqliteStorage("usage.db")',
  ],
  STORAGE_MISSING: [
    'this TrackUsage has no storage to query',
    'pass a storage: new TrackUsage(app, [new SqliteStorage("usage.db")])',
  ],
  WRITER_SUMMARY: [
    '{writer} cannot keep the summary {name}: a writer only receives records',
    'add the summary to the hooks of a storage, such as new SqliteStorage("usage.db")',
  ],
  STORAGE_UNKNOWN: ['cannot open storage {value}', 'use one of: {known}'],
  STORAGE_NOT_FOUND: [
    'no database found at {value}',
    'check the path or URL; a tracked app creates the database',
  ],
  STORAGE_FOREIGN: [
    '{value} is not a track-usage database',
    'use another file, database, prefix, schema or collection; nothing was changed',
  ],
  STORAGE_NEWER: [
    '{value} has schema version {found}, but this release supports versions up to {known}',
    'upgrade track-usage, or use another file, database, prefix, schema or collection',
  ],
  STORAGE_OLDER: [
    '{value} has schema version {found}, but this release requires version {known}',
    'start the app once with this release to migrate the database',
  ],
  STORAGE_UNUSABLE: [
    '{value} failed: {reason}',
    'check that the database is reachable and intact, and that this user may access it',
  ],
  FILE_UNREADABLE: ['cannot read {value}: {reason}', 'check the path and the permissions'],
  FILE_UNWRITABLE: [
    'cannot write {value}: {reason}',
    'choose another path, or check the permissions and the free space of its directory',
  ],
  COPY_TARGET: [
    '{value} already has records or summaries of the site "{site}"',
    'use an empty database, or another name for the site: --to-site NAME',
  ],
  EXPORT_INVALID: [
    'cannot restore {value}: {reason}',
    'use a complete file written by track-usage export --format ndjson; nothing was changed',
  ],
  COPY_DIFFERS: [
    'the copy differs: {what} is {found} in {to}, but {wanted} in {from}',
    'stop the apps that write to {from}, and copy into an empty database',
  ],
  COPY_SHRUNK: [
    '{value} has fewer records than were already copied: {found} instead of {copied}',
    'the copied records are kept; to copy only the records that remain in the source, copy into an empty database, or under another name: --to-site NAME',
  ],
  COPY_SOURCE: [
    'cannot read {value}: {reason}',
    'check --from, --table and --website; the source was not changed',
  ],
  COPY_OWN: [
    '{value} is a collection of track-usage, not of Flask-Track-Usage',
    'remove flask+ (--from mongodb://…), or name the collection of Flask-Track-Usage: --table NAME',
  ],
  COPY_EMPTY: ['{value} has no data for the site "{site}"', 'check --from and --site'],
  SITE_EMPTY: [
    '{value} has no data for the site "{site}"',
    'check the storage, and pass the name of the site that the app uses',
  ],
  MAINTENANCE_UNSUPPORTED: [
    '{value} does not support maintenance',
    'use a built-in storage, or implement StorageWriter.maintenance',
  ],
  MAINTENANCE_BUSY: [
    'another process is performing maintenance on the site "{site}" in {value}',
    'wait until it finishes; if it was killed, its lease expires after 1 minute',
  ],
  MAINTENANCE_LOST: [
    'stopped the maintenance of the site "{site}" in {value}, because its lease expired and another process may change the same sums',
    'run it again; if no other process performs maintenance, the storage did not respond or this process was suspended for 1 minute',
  ],
  FORGET_INCOMPLETE: [
    '{value} may still contain records of the person, because apps stored new ones during each of {rounds} rounds',
    'run it again; everything that was found is deleted',
  ],
  REBUILD_DIFFERS: [
    'the summary "{summary}" still differs from the records in the {period} {date}',
    'check that no other program changes the database, and run the command again',
  ],
  STORAGE_SERVER: ['{value} has server version {found}, which {reason}', 'upgrade the server'],
  STORAGE_OFFLINE: [
    '{what} is not connected: {reason}',
    'connect it; until then, records wait in the journal, or in bounded memory if no file can be written',
  ],
  STORAGE_ENCODING: [
    '{value} has the encoding {found}, which cannot represent every character',
    'use a database with the encoding {wanted}',
  ],
  DRIVER_MISSING: [
    '{storage} needs the package {driver}, which is not installed',
    'install it: npm install {driver}',
  ],
  DRIVER_FAILED: [
    '{storage} cannot load the package {driver}: {reason}',
    'check the installation of the package and the limit of open files',
  ],
  STORAGE_TIME_ZONE: [
    'site "{site}" is stored in {value} with the time zone {found}, not {wanted}',
    'keep timeZone: "{found}"; to change it, stop the apps of the site and run track-usage rebuild --time-zone {wanted}; or give this app another site name',
  ],
  SUMMARY_UNKNOWN: ['unknown summary {value}', 'use one of: {known}'],
  SUMMARY_NOT_KEPT: [
    'no storage keeps the summary "{name}"',
    'add it to the hooks of a storage: hooks: [{name}]; it counts requests from then on',
  ],
  SUMMARY_TAKEN: [
    'another summary is already named "{name}"',
    'rename your custom summary, and pass the same object to every storage',
  ],
  SUMMARY_MODULE: [
    'cannot compute the summary "{name}": {reason}',
    'fix {module}; until then, records wait in the journal, or in bounded memory if no file can be written',
  ],
  SUMMARY_UNCOUNTABLE: [
    'cannot count the summary "{name}" from the records: {reason}',
    'pass the module that computes its keys, or leave this summary out',
  ],
  QUERY_INVALID: ['{name} is {value}', 'expected {expected}'],
  QUERY_TOO_LARGE: ['a query over individual records {reason}', 'query a shorter range, or without a filter'],
  RECOUNT_BUSY: [
    'cannot recount the {period} {bucket} of the summary "{name}": {reason}',
    'try again when fewer batches are stored; the unfinished batch of a killed app is completed when an app starts with the same journal directory, and that of a killed rebuild is ignored after 1 minute',
  ],
  SCRUB_FAILED: ['deleted data may still be in the files of {storage}: {reason}', '{how}'],
  TIME_ZONE_BUSY: [
    'cannot change the time zone of the site "{site}" in {value}: {reason}',
    'stop all apps of the site, and run the command again; the unfinished batch of a killed app is completed when the app starts again with the previous time zone',
  ],
  TIME_ZONE_CHANGING: [
    'the time zone of the site "{site}" in {value} is being changed to {wanted}',
    'wait until track-usage rebuild --time-zone {wanted} has finished; if it was interrupted, run it again',
  ],
  TIME_ZONE_REFUSED: [
    'cannot change the time zone of the site "{site}" in {value}: {reason}',
    'all sums must be rebuilt from the records; to give up sums that are older than the records, delete them with track-usage prune --months --before DATE',
  ],
  TIME_ZONE_UNKNOWN: ['unknown time zone {value}', 'use an IANA name such as "Europe/Berlin"'],
  GEO_UNREADABLE: [
    'cannot read the country database {value}: {reason}',
    'pass the path of a file in MMDB format as geo: { database }',
  ],
  GEO_SERVICE: [
    'requests to the geolocation service {value} are paused for {seconds} s: {reason}',
    'check freeGeoIp: { endpoint, countryPath } and the rate limits of the service; until then, countries that no database provides are null',
  ],
  CLOSED: ['this TrackUsage is closed', 'create a new one'],
  TIMEOUT: [
    '{what} did not finish within {value} ms',
    'check that the database or stream responds; records in a journal file are stored later, and records in memory are reported as RECORDS_LOST',
  ],
  WRITER_STOPPED: [
    'the writer thread stopped: {reason}',
    'it restarts automatically; until then, records wait in the journal, or in bounded memory if no file can be written',
  ],
  WRITER_FILE: [
    'cannot load {value}, a file of track-usage: {reason}',
    'when you bundle your app, mark "track-usage" and "track-usage/sqlite" as external, and install the package where the bundle runs; until then, records wait in the journal, or in bounded memory if no file can be written',
  ],
  PERMISSION_MISSING: [
    'the permission model of Node does not allow loading {value}: {reason}',
    'start Node with --allow-worker, and --allow-fs-read for node_modules; until then, records wait in the journal, or in bounded memory if no file can be written',
  ],
  JOURNAL_UNWRITABLE: [
    'cannot write the journal in {value}: {reason}',
    'free disk space, make the directory writable, or set journal: { dir }; until then, records wait in bounded memory',
  ],
  JOURNAL_UNSAFE: [
    'the journal directory {value} may contain files of another user: {reason}',
    'delete it, or make this user its owner and remove write access for others, or set journal: { dir } to another path; until then, records wait in bounded memory',
  ],
  JOURNAL_FOREIGN: [
    'the journal {value} may contain data of another user: {reason}',
    'delete it or, if its records are genuine, change its owner and mode to those of this process; until then, it is not adopted',
  ],
  JOURNAL_NETWORK: [
    '{value} is on a network file system ({kind}), where locks and appends are not reliable',
    'set journal: { dir } to a local disk; until then, records wait in bounded memory',
  ],
  JOURNAL_UNREADABLE: [
    'cannot read {value}: {reason}',
    'free file descriptors, make it readable or check the disk; reading is retried, and no record is discarded meanwhile',
  ],
  JOURNAL_UNSYNCED: [
    'fsync of the journal {value} failed: {reason}',
    'check the disk; a power failure may lose records, but a crash of the process does not',
  ],
  JOURNAL_UNDELETED: [
    'cannot delete {value}: {reason}',
    'make its directory writable; deletion is retried, and no record is stored twice meanwhile',
  ],
  JOURNAL_CORRUPT: [
    'the journal {value} is damaged; bytes damaged: {bytes}, records lost: {records}',
    'check the disk; all other records are stored',
  ],
  JOURNAL_DROPPED: [
    'records lost from the journal {value}: {records}; they were only in memory, or their file was dropped at the limit, deleted or truncated',
    'fix the storage that lags, raise journal: { maxBytes } or check the disk; all other records are stored',
  ],
  BATCH_CORRUPT: [
    'the file of an unfinished batch, {value}, is damaged',
    'check the disk; the batch is rebuilt from the journal, and records that were already stored may be counted twice',
  ],
  BATCH_UNWRITABLE: [
    'cannot write {value}: {reason}',
    'free disk space or make the directory writable; until then, records are stored one at a time, each exactly once',
  ],
  POSITION_CORRUPT: [
    'the position file {value} is damaged',
    'check the disk; the records that are still in the journal are written again',
  ],
  POSITION_UNWRITABLE: [
    'cannot write {value}: {reason}',
    'free disk space or make the directory writable; until then, records are written again after a crash',
  ],
  JOURNAL_GONE: [
    'the journal {value} was deleted while it was in use',
    'do not change the directory while the app runs; a new journal was started',
  ],
  JOURNAL_TAKEN: [
    'another process adopted the journal {value}, because this process was paused for more than 3 s and its lock was dropped',
    'the other process stores its records, and this one continues in a new journal; records lost because they were only in memory: {records}, counted in dropped.journal',
  ],
  JOURNAL_FULL: [
    'the journal exceeded its limit of {value} bytes, and its oldest segment was dropped',
    'fix the storage that lags, or raise journal: { maxBytes }',
  ],
  JOURNAL_SLOW: [
    'the disk of the journal {value} blocked the app for {ms} ms',
    'until the disk is fast again, another thread writes the records, and a crash loses those still in memory; if this repeats, set journal: { dir } to a faster disk',
  ],
  RECORDS_LOST: [
    'records lost at close: {records}; they were only in memory, neither stored nor in the journal {value}',
    'make the directory of the journal writable, or the storage available, before the app stops',
  ],
  STORAGE_FAILED: [
    'cannot write to {storage}: {reason}',
    'make the storage available; the batch is retried, and records wait in the journal, or in bounded memory if no file can be written',
  ],
  VISITORS_UNKEYED: [
    '{storage} cannot keep the keys of daily visitors, so it does not count them',
    'set daily.secret, from which the key of each day is derived',
  ],
  PRUNE_FAILED: [
    'cannot delete expired data from {storage}: {reason}',
    'check that the user may delete rows; deletion is retried in 5 minutes, and records are stored meanwhile',
  ],
  PRUNE_DELAYED: [
    'expired data is not deleted from {storage} yet: the clock says {now}, but the last deletion or record dates from {last}',
    'if the clock is right, the app deletes the data in small steps, and the rest once it has run for 24 hours; to delete it now, run track-usage prune --trust-clock; if the clock is wrong, set it',
  ],
  PRUNE_IMPLAUSIBLE: [
    'nothing was deleted from {value}: the clock says {now}, but the last deletion or record dates from {last}',
    'if the clock is right, add --trust-clock, or trustClock: true in a program; if it is wrong, set it',
  ],
  RETENTION_CORRECTED: [
    'all data in {storage} before {before} was hidden, because a process with a wrong clock had deleted it; new data is visible again',
    'the deleted data is gone; if you need it, restore a backup',
  ],
  CLOCK_AHEAD: [
    'the clock of this process is {hours} hours ahead of the clock of {storage}',
    'set the clock, because records get wrong dates; expired data is deleted by the earlier of the two clocks',
  ],
  STORAGE_UNCLOSED: [
    '{storage} was not closed cleanly: {reason}',
    'check the storage and, if it is a file, make sure that nothing removes files next to it while the app runs',
  ],
  STORAGE_REPLACED: [
    '{storage} was removed, emptied or replaced while the app was running; stored records that were lost with it: {lost}',
    'new records go to the current database; stop the app before you remove or restore a database',
  ],
  RECORD_REJECTED: ['{storage} rejected a record: {reason}', 'inspect the record in {file}'],
  REJECT_FILE_UNWRITABLE: [
    'cannot write the file of rejected records, {value}: {reason}',
    'free disk space or make the directory writable; writing is retried for 30 s, and later records wait meanwhile',
  ],
  RECORD_DISCARDED: [
    '{storage} rejected a record: {reason}; it could not be written to {file}: {why}',
    'free disk space, move or delete the file, or make its directory writable; the record is counted as rejected',
  ],
  ADDRESS_UNREADABLE: [
    "the trusted proxy {proxy} forwards {value}, which is not an IP address; such requests are recorded with the proxy's address",
    "configure the proxy to forward the client's IP address in X-Forwarded-For or Forwarded; this is reported once",
  ],
  HOOK_FAILED: ['{what} failed: {reason}', 'fix it; {effect}'],
  CAPTURE_FAILED: [
    'a request could not be read: {reason}',
    'check code that replaces properties of requests, responses or sockets; the response is not affected, and dropped.capture of status() counts the request',
  ],
  SUMMARY_KEYS: [
    'the keys of a request in custom summaries were omitted: {reason}',
    'return fewer or shorter keys; the request counts under null in each of these summaries',
  ],
  VARS_LEFT_OUT: [
    'the vars of a request were omitted: {reason}',
    'use values that JSON can represent, of at most 16,384 characters; the request is recorded without them',
  ],
  VARS_REQUEST: [
    'usage.vars() was given {value}, which is not a request',
    'pass the request or the context that the framework gives to handlers; other vars are not recorded',
  ],
  SUMMARY_IDLE: ['{name} counts nothing: {reason}', '{how}'],
  NODE_TOO_OLD: ['track-usage needs Node 22.13 or newer, but this is {value}', 'upgrade Node'],
  RUNTIME_UNSUPPORTED: [
    'track-usage runs on Node, but this is {value}',
    'run the app on Node 22.13 or newer',
  ],
} as const satisfies Record<string, readonly [message: string, hint: string]>;

/**
 * Code of an error of this library, which stays the same when its message changes.
 * @useDeclaredType
 */
export type ErrorCode = keyof typeof TABLE;

/** All codes, for the documentation and its test. */
export const ERROR_CODES = Object.keys(TABLE) as ErrorCode[];

/** Error of this library. Its `code` is stable; its `message` says what happened and ends with the `hint`. */
export class TrackUsageError extends Error {
  /** Always `TrackUsageError`. */
  override readonly name = 'TrackUsageError';
  /** Kind of the problem. */
  readonly code: ErrorCode;
  /** Instructions for fixing the problem. Also part of `message`. */
  readonly hint: string;

  constructor(code: ErrorCode, values: Record<string, unknown> = {}, options?: { cause?: unknown }) {
    const [message, hint] = TABLE[code];
    const how = fill(hint, values);
    super(`${fill(message, values)}; ${how}.`, options);
    this.code = code;
    this.hint = how;
  }
}

/**
 * Creates the error for a user's function or setting that threw.
 * @param effect Consequence for the request or record.
 */
export function hookFailed(what: string, effect: string, error: unknown): TrackUsageError {
  return new TrackUsageError('HOOK_FAILED', { what, effect, reason: reasonOf(error) }, { cause: error });
}

/** Returns the message of a thrown value, which may be of any type. */
export function reasonOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'a value that cannot be converted to a string was thrown';
  }
}

/** Returns the reason of an error of the file system, without the path, which the message names already. */
export function fileReason(error: unknown): string {
  return reasonOf(error).replace(/^([A-Z][A-Z0-9]*): ([^,]+), \w+(?: '.*)?$/s, '$2 ($1)');
}

/** Formats a path for a message. */
export function pathText(path: string): string {
  return path === '' ? '""' : path;
}

/** Formats a value for a message: short, on one line, and with its type visible. */
export function show(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  let text: string | undefined;
  try {
    if (typeof value === 'bigint') text = `${value}n`;
    // JSON supports neither NaN nor Infinity.
    else text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  } catch {
    // The value is circular.
  }
  text ??= String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Formats only the type of a value that may contain a password, for example connection options. */
export function showKind(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'another object';
  if (typeof value === 'string' && /[:@/]/.test(value)) return 'a string (not shown)';
  return show(value);
}

function fill(template: string, values: Record<string, unknown>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}
