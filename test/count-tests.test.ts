import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from './journal/support.ts';

const SCRIPT = join(import.meta.dirname, '../scripts/count-tests.ts');
const report = (passed: number, failed = 0, skipped = 0) => ({
  numPassedTests: passed,
  numFailedTests: failed,
  numFailedTestSuites: failed,
  numPendingTests: skipped,
  numTodoTests: 0,
  testResults: [],
});

test.each([
  ['two reports', [report(3), report(4)], '7 passed, 0 failed, 0 skipped', 0],
  ['a failed test', [report(3), report(4, 1)], '7 passed, 1 failed, 0 skipped', 1],
  ['a skipped test', [report(3, 0, 2), report(4)], '7 passed, 0 failed, 2 skipped', 1],
  ['a report without tests', [report(3), report(0)], '3 passed, 1 failed, 0 skipped', 1],
  ['a missing report', [report(3), undefined], '3 passed, 1 failed, 0 skipped', 1],
])('counts test reports: %s', (_, reports, line, status) => {
  const directory = temporaryDirectory();
  const files = reports.map((each, index) => {
    const file = join(directory, `${index}.json`);
    if (each) writeFileSync(file, JSON.stringify(each));
    return file;
  });
  const counted = spawnSync(process.execPath, [SCRIPT, ...files], { encoding: 'utf8' });
  expect([counted.stdout.trimEnd().split('\n').at(-1), counted.status]).toEqual([line, status]);
});
