/** Prints the test reports as one line; fails if a report is missing, or a test failed, was skipped, or did not run. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numFailedTestSuites: number;
  testResults: { name: string; assertionResults: { fullName: string; status: string }[] }[];
}

let passed = 0;
let failed = 0;
let skipped = 0;
for (const file of process.argv.slice(2)) {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch (error) {
    console.log(`failed: no report in ${file}: ${(error as Error).message}`);
    failed++;
    continue;
  }
  // If a file's process ended early, its tests have no result, and the runner does not report which.
  for (const { name, assertionResults } of report.testResults) {
    for (const { fullName, status } of assertionResults) {
      if (status !== 'passed') console.log(`${status}: ${relative('.', name)}: ${fullName}`);
    }
  }
  if (report.numPassedTests === 0) {
    console.log(`failed: no test passed in ${file}`);
    failed++;
  }
  passed += report.numPassedTests;
  failed += report.numFailedTests || report.numFailedTestSuites;
  skipped += report.numPendingTests + report.numTodoTests;
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = passed > 0 && failed === 0 && skipped === 0 ? 0 : 1;
