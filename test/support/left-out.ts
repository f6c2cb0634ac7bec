import { globSync } from 'node:fs';
import type { Reporter, Vitest } from 'vitest/node';
import { ENGINES, SYSTEM } from '../projects.ts';
import { missingServices } from './services.ts';

const PROJECTS = { engines: ENGINES, system: SYSTEM } as const;

/** Prints which tests a run leaves out, and the command that runs them. */
export default class LeftOutReporter implements Reporter {
  #projects: string[] = [];

  onInit(vitest: Vitest): void {
    this.#projects = vitest.projects.map(({ name }) => name);
    if (this.#projects.every((name) => name === 'unit')) return;
    const missing = missingServices().map(({ name }) => name);
    if (missing.length === 0) return;
    console.log(`Left out: tests of ${missing.join(', ')}. \`npm run services\` installs what they need.\n`);
  }

  onTestRunEnd(): void {
    const leftOut = Object.entries(PROJECTS).filter(([name]) => !this.#projects.includes(name));
    // A single file or project was selected.
    if (leftOut.length === 0 || !this.#projects.includes('unit')) return;
    const files = leftOut
      .map(([name, patterns]) => `${globSync(patterns).length} files of ${name}`)
      .join(', ');
    console.log(
      `Left out: ${files} (database servers, browser, processes). \`npm run services && npm run test:all\` runs everything.`,
    );
  }
}
