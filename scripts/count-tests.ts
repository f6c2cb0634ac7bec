/** Prints the runner's report as one line; fails where a test failed, was skipped, or none ran. */
import { readFileSync } from 'node:fs';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numFailedTestSuites: number;
}

const report = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Report;
const passed = report.numPassedTests;
const failed = report.numFailedTests || report.numFailedTestSuites;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = passed > 0 && failed === 0 && skipped === 0 ? 0 : 1;
