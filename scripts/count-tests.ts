/** Prints the runner's report as one line; fails where a test failed, was skipped, or none ran. */
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

const report = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Report;
// A file whose process ended early leaves tests without a result, and the runner does not say which.
for (const { name, assertionResults } of report.testResults) {
  for (const { fullName, status } of assertionResults) {
    if (status !== 'passed') console.log(`${status}: ${relative('.', name)}: ${fullName}`);
  }
}
const passed = report.numPassedTests;
const failed = report.numFailedTests || report.numFailedTestSuites;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = passed > 0 && failed === 0 && skipped === 0 ? 0 : 1;
