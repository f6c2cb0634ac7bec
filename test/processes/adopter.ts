/**
 * A process that only adopts and deletes journals, as fast as possible: `adopter.ts <directory>`. When its
 * parent disconnects, it prints how many it deleted, and its errors.
 */
import { SharedState } from '../../src/journal/shared.ts';
import { Journals } from '../../src/writer/thread/journals.ts';

const [directory = ''] = process.argv.slice(2);
const thrown: string[] = [];
const journals = new Journals(directory, 'f'.repeat(32), new SharedState(), [false], (problem) =>
  thrown.push(problem.message),
);
let deleted = 0;

function round(): void {
  journals.adopt();
  for (const journal of journals.all.slice(1)) {
    try {
      journals.discard(journal);
      deleted += 1;
    } catch (error) {
      thrown.push(String(error));
    }
  }
  if (process.connected) setImmediate(round);
  else process.stdout.write(JSON.stringify({ deleted, thrown }));
}

process.on('message', () => {});
process.send!('ready');
round();
