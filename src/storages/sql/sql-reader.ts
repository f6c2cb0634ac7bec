import { CachedSums } from '../../storage/cached-sums.ts';
import type { StorageReader, SumRow, SumsRequest } from '../../storage/contract.ts';
import { QueryingReader } from '../../storage/querying-reader.ts';
import { sumRowOf } from '../../storage/sum-row.ts';
import type { Dialect } from './dialect.ts';
import { FilterQueries } from './filters.ts';
import { ALL } from './page.ts';
import { SumQueries } from './queries.ts';

type Sums = Pick<StorageReader, 'timeZone' | 'summaries' | 'sums' | 'hasText'>;

/** Reading end whose queries of sites and sums are written in the SQL of a dialect. */
export abstract class SqlReader extends QueryingReader<FilterQueries> implements Sums {
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    super(new CachedSums(new SumQueries(dialect), (site) => this.timeZone(site)), new FilterQueries(dialect));
    this.#dialect = dialect;
  }

  async timeZone(site: string): Promise<string | undefined> {
    const { query, hint = '', table, isSite } = this.#dialect;
    const [row] = await query(
      `SELECT ${hint} sites.time_zone FROM ${table('sites')} sites WHERE ${isSite(site)}`,
    );
    return row?.time_zone as string | undefined;
  }

  async summaries(site: string): Promise<string[]> {
    const { query, hint = '' } = this.#dialect;
    const rows = await query(
      `SELECT ${hint} series.summary FROM ${this.#seriesOf(site)} ORDER BY series.summary`,
    );
    return rows.map(({ summary }) => summary as string);
  }

  async sums({ site, summary, period, from, to, target, limit, offset }: SumsRequest): Promise<SumRow[]> {
    const { query, hint = '', table, sums, text, isText, bytes, bucketMs, bucketWithin } = this.#dialect;
    const strings = `${table('strings')} strings`;
    const ofKey = {
      all: '',
      none: 'AND t.key = 0',
      one: `AND t.key = (SELECT strings.id FROM ${strings} WHERE ${isText(target ?? '')})`,
    }[target === undefined ? 'all' : target === null ? 'none' : 'one'];
    const rows = await query(`
      SELECT ${hint} ${bucketMs('t.bucket')} AS ms, strings.text, t.hits, t.transfer, t.errors, t.duration
      FROM ${table(sums[period])} t LEFT JOIN ${strings} ON strings.id = t.key
      WHERE t.series = (SELECT series.id FROM ${this.#seriesOf(site)} AND series.summary = ${text(summary)})
        AND ${bucketWithin('t.bucket', { from, to })} ${ofKey}
      ORDER BY t.bucket DESC, t.hits DESC, t.key = 0, ${bytes('strings.text')}
      LIMIT ${limit === 0 ? ALL : limit} OFFSET ${offset}`);
    return rows.map((row) => sumRowOf(Number(row.ms), row.text, row));
  }

  /** Records, keys and user agents share the table of texts. */
  async hasText(search: string): Promise<boolean> {
    const { query, hint = '', table, contains } = this.#dialect;
    const rows = await query(
      `SELECT ${hint} strings.id FROM ${table('strings')} strings WHERE ${contains('strings.text', search)} LIMIT 1`,
    );
    return rows.length > 0;
  }

  /** Returns the FROM clause of a site's series. */
  #seriesOf(site: string): string {
    const { table, isSite } = this.#dialect;
    return `${table('series')} series JOIN ${table('sites')} sites ON sites.id = series.site WHERE ${isSite(site)}`;
  }
}
