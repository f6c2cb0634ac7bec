/**
 * Conformance suite for custom storages.
 * @module track-usage/testing
 */
import { coverageCases } from './coverage.ts';
import { derivedCases } from './derived.ts';
import { faultCases } from './faults.ts';
import { filterCases } from './filters.ts';
import { interfaceCases } from './interfaces.ts';
import { latencyCases } from './latency.ts';
import { lifeCases } from './life.ts';
import { maintenanceCases } from './maintenance.ts';
import { maxKeysCases } from './max-keys.ts';
import { peopleCases } from './people.ts';
import { queryCases } from './queries.ts';
import { recordCases } from './records.ts';
import type { Subject, TestCase } from './subject.ts';
import { sumCases } from './sums.ts';
import { timeZoneCases } from './time-zone.ts';
import { urlKeyCases } from './url-keys.ts';
import { visitorKeyCases } from './visitor-keys.ts';

export { type Cut, CuttingProxy } from './proxy.ts';
export type { QueryInterface } from './query-client.ts';
export type { Capability, Subject, TestCase, TestLocation, TestServer } from './subject.ts';

/**
 * Returns the conformance suite, which every storage must pass. Cases query like users: through the interfaces of the
 * subject, page by page. Cases that need a capability that the storage lacks are omitted.
 *
 * ```js
 * for (const { name, run } of storageCases(subject)) test(name, run);
 * ```
 */
export function storageCases(subject: Subject): TestCase[] {
  return [
    recordCases,
    sumCases,
    urlKeyCases,
    derivedCases,
    queryCases,
    coverageCases,
    filterCases,
    maxKeysCases,
    latencyCases,
    maintenanceCases,
    timeZoneCases,
    peopleCases,
    visitorKeyCases,
    interfaceCases,
    lifeCases,
    faultCases,
  ].flatMap((cases) => cases(subject));
}
