import { deepStrictEqual as equal, ok } from 'node:assert';
import type { StorageWriter } from '../storage/contract.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, openWriter } from './support.ts';

const OLDEST = '2026-11-29';
const DAYS = ['2026-11-29', '2026-11-30', '2026-12-01'] as const;

/** Keys of visitor IDs: see the option `visitors: 'daily'`. */
export function visitorKeyCases(subject: Subject): TestCase[] {
  if (subject.cannot?.visitorKeys) return [];
  return [shared(subject), destroyed(subject)];
}

/** Returns the key of a day, as hexadecimal digits. `number` distinguishes proposals. */
async function keyOf(writer: StorageWriter, day: string, number: number, oldest = OLDEST): Promise<string> {
  ok(writer.visitorKey, 'the writer has no "visitorKey"');
  const proposal = proposalOf(number);
  const key = await writer.visitorKey({ day, oldest, proposal });
  equal(key.length, proposal.length);
  return Buffer.from(key).toString('hex');
}

/** Returns 32 bytes, some of which are no text. */
function proposalOf(number: number): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => (number * 37 + i * 81) % 256);
}

function hexOf(number: number): string {
  return Buffer.from(proposalOf(number)).toString('hex');
}

function shared(subject: Subject): TestCase {
  return {
    name: 'visitor keys: all writers of a site get the first proposal of a day',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage();
        const first = location.keep(await openWriter(storage));
        const second = location.keep(await openWriter(storage));
        const other = location.keep(await openWriter(storage, { site: 'other' }));
        equal(await keyOf(first, DAYS[1], 1), hexOf(1));
        equal(await keyOf(first, DAYS[1], 2), hexOf(1));
        equal(await keyOf(second, DAYS[1], 3), hexOf(1));
        equal(await keyOf(second, DAYS[2], 4), hexOf(4));
        equal(await keyOf(first, DAYS[2], 5), hexOf(4));
        equal(await keyOf(other, DAYS[1], 6), hexOf(6));
        const day = '2026-12-02';
        const writers = [first, second, first, second];
        const found = await Promise.all(writers.map((writer, i) => keyOf(writer, day, 10 + i)));
        equal(new Set(found).size, 1);
        await first.close();
        const reopened = location.keep(await openWriter(storage));
        equal(await keyOf(reopened, DAYS[1], 7), hexOf(1));
      }),
  };
}

function destroyed(subject: Subject): TestCase {
  return {
    name: 'visitor keys: old keys are deleted, and those of other sites are kept',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage();
        const writer = location.keep(await openWriter(storage));
        const other = location.keep(await openWriter(storage, { site: 'other' }));
        for (const [i, day] of DAYS.entries()) equal(await keyOf(writer, day, i), hexOf(i));
        equal(await keyOf(other, DAYS[0], 7), hexOf(7));
        // Only the key of the first day is older.
        equal(await keyOf(writer, DAYS[2], 8, DAYS[1]), hexOf(2));
        equal(await keyOf(writer, DAYS[1], 8, DAYS[1]), hexOf(1));
        equal(await keyOf(other, DAYS[0], 8), hexOf(7));
        equal(await keyOf(writer, DAYS[0], 9), hexOf(9));
      }),
  };
}
