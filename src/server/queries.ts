import type { UsageQuery } from '../query/query.ts';

/** Queries that the API offers. */
export type Queries = Pick<UsageQuery, 'site' | 'totals' | 'series' | 'top' | 'minutes' | 'records'>;
