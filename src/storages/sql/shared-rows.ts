import type { RecordBatch } from '../../batch.ts';
import { type Agent, agentIdsOf } from './agents.ts';
import { type Endpoint, endpointIdsOf } from './endpoints.ts';
import { type LookUp, RowIds } from './row-ids.ts';
import { type Text, Texts } from './texts.ts';

/** Looks up the rows that records refer to. */
export interface LookUps {
  texts: LookUp<Text>;
  endpoints: LookUp<Endpoint>;
  agents: LookUp<Agent>;
}

/** IDs of the rows that the records of a batch refer to. */
export interface BatchIds {
  /** IDs of the batch's texts, by their IDs in the batch; 0 for null. */
  texts: Float64Array;
  /** Endpoint of each record. */
  endpoints: Int32Array;
  /** Agent of each record, or 0. */
  agents: Float64Array;
}

/** Caches of the rows that records refer to. */
export class SharedRows {
  readonly #texts: Texts;
  readonly #endpoints: RowIds<Endpoint>;
  readonly #agents: RowIds<Agent>;

  constructor({ texts, endpoints, agents }: LookUps) {
    this.#texts = new Texts(texts);
    this.#endpoints = new RowIds(endpoints);
    this.#agents = new RowIds(agents);
  }

  async idsOf(records: RecordBatch): Promise<BatchIds> {
    const texts = await this.#texts.idsOf(records);
    const endpoints = await endpointIdsOf(records, texts, this.#endpoints);
    const agents = await agentIdsOf(records, texts, this.#agents);
    return { texts, endpoints, agents };
  }

  /** Clears the caches, after a failure. */
  forget(): void {
    this.#texts.forget();
    this.#endpoints.forget();
    this.#agents.forget();
  }
}
