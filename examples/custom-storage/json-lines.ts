/** Stores records and summaries in a file of JSON lines: see docs/guides/custom-storages.md. */
import * as fs from 'node:fs';
import { resolve } from 'node:path';
import { type Hook, Storage } from 'track-usage';
import * as contract from 'track-usage/storage';

const VERSION = 1;

type FileLocation = { file: string; label: string };
type Row = contract.RecordRow;
type Delta = contract.DeltaRow;

/** A line of the file. After a crash, the last one is there, missing, or cut off. */
type Line =
  | { version: number; site: string; timeZone: string }
  | { journal: string; forget: true }
  | { journal: string; from: number; to: contract.Position; site: string; records: Row[]; sums: Delta[] };

export class JsonLinesStorage extends Storage {
  constructor(path: string, { hooks }: { hooks?: readonly Hook[] } = {}) {
    const location: FileLocation = { file: resolve(path), label: `jsonl:${path}` };
    const identity = `jsonl:${location.file}`;
    super({
      label: location.label,
      identity,
      module: import.meta.url,
      options: location,
      maxRecords: 8_192,
      hooks,
    });
  }
}

/** Opens the file. All processes apply the same lines in the same order, so they agree on its content. */
function openLog(file: string, isReader: boolean) {
  const content = {
    version: 0,
    timeZones: new Map<string, string>(),
    positions: new Map<string, contract.Position>(),
    // Of all sites. Only a reader keeps these two.
    records: [] as contract.StoredRow[],
    sums: new Map<string, Delta & { site: string }>(),
  };
  const fd = fs.openSync(file, isReader ? 'r' : 'a+');
  const identity = contract.fileIdentity(file);
  const isReplaced = () => contract.fileIdentity(file) !== identity;
  let offset = 0;
  let isOpen = true;

  function append(line: Line, flush: boolean): void {
    // The line break in front ends a line that a crash has cut off.
    fs.appendFileSync(fd, `\n${JSON.stringify(line)}\n`, { flush });
    if (isReplaced()) throw new contract.StorageReplaced(`${file} was removed or replaced`);
  }

  /** Applies the lines that were appended since the last call. */
  function read() {
    const buffer = Buffer.alloc(Math.max(0, fs.fstatSync(fd).size - offset));
    const bytes = buffer.subarray(0, fs.readSync(fd, buffer, 0, buffer.length, offset));
    for (let start = 0, end = bytes.indexOf('\n'); end >= 0; end = bytes.indexOf('\n', start)) {
      const text = bytes.toString('utf8', start, end);
      offset += end + 1 - start;
      start = end + 1;
      if (text !== '') apply(text);
    }
    return content;
  }

  function apply(text: string): void {
    const { timeZones, positions, records, sums } = content;
    let line: Line;
    try {
      line = JSON.parse(text);
    } catch {
      return; // Cut off by a crash. It was never reported as stored, so its batch is repeated.
    }
    if ('version' in line) {
      content.version ||= line.version;
      if (!timeZones.has(line.site)) timeZones.set(line.site, line.timeZone);
    } else if ('forget' in line) {
      positions.delete(line.journal);
    } else if ((positions.get(line.journal)?.position ?? 0) === line.from) {
      // This condition stores it exactly once: a repeated batch no longer starts at the journal's position.
      positions.set(line.journal, line.to);
      if (!isReader) return;
      for (const row of line.records) records.push({ row, sequence: records.length });
      for (const delta of line.sums) {
        const name = JSON.stringify([line.site, delta.summary, delta.period, delta.bucket, delta.key]);
        const sum = sums.get(name);
        if (sum) contract.addMeasures(sum, delta);
        else sums.set(name, { site: line.site, ...delta });
      }
    }
  }

  function close(): void {
    if (isOpen) fs.closeSync(fd);
    isOpen = false;
  }
  return { isReplaced, append, read, close };
}

export const openWriter: contract.StorageModule['openWriter'] = async (options, context) => {
  const { file, label } = options as FileLocation;
  const { site, timeZone, durable } = context;
  const log = openLog(file, false);
  const position = (journal: string) => log.read().positions.get(journal);
  return contract.closeOnFailure(log.close, () => {
    contract.checkVersion(log.read().version, VERSION, label);
    if (!log.read().timeZones.has(site)) log.append({ version: VERSION, site, timeZone }, durable);
    contract.checkTimeZone(context, log.read().timeZones.get(site)!, label);
    return {
      position: async (journal) => position(journal),
      async apply(batch) {
        const { journal, from, to } = batch;
        if ((position(journal)?.position ?? 0) !== from.position) return false;
        const [records, sums] = [contract.recordRows(batch), [...contract.deltaRows(batch)]];
        log.append({ journal, from: from.position, to, site, records, sums }, durable);
        return position(journal)?.position === to.position;
      },
      forget: async (journal) => log.append({ journal, forget: true }, durable),
      isReplaced: log.isReplaced,
      refuses: () => false,
      close: async () => log.close(),
    };
  });
};

export const openReader: contract.StorageModule['openReader'] = async (options) => {
  const { file, label } = options as FileLocation;
  if (!contract.fileIdentity(file)) contract.checkReadable(undefined, VERSION, label);
  const log = openLog(file, true);
  return contract.closeOnFailure(log.close, () => {
    contract.checkReadable(log.read().version || undefined, VERSION, label);
    const sums = (site: string) => [...log.read().sums.values()].filter((sum) => sum.site === site);
    const records = (site: string) => log.read().records.filter(({ row }) => row.site === site);
    return {
      isReplaced: log.isReplaced,
      timeZone: async (site) => log.read().timeZones.get(site),
      summaries: async (site) => [...new Set(sums(site).map(({ summary }) => summary))].sort(),
      sums: async (request) => contract.pageOfSums(sums(request.site), request),
      usage: async (request) => contract.pageOfUsage(records(request.site), request),
      scan: async (request) => contract.pageOfScan(records(request.site), request),
      matchingRecords: async (request) => contract.pageOfMatching(records(request.site), request),
      close: async () => log.close(),
    };
  });
};
