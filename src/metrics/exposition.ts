/** What an HTTP answer with `usage.metrics()` says of itself: Prometheus's text format. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** The same for `usage.metrics({ openMetrics: true })`. */
export const OPENMETRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** The last line of an exposition of OpenMetrics. */
export const OPENMETRICS_END = '# EOF\n';

/** Writes metrics as text, in Prometheus's format or that of OpenMetrics. */
export class Exposition {
  readonly #openMetrics: boolean;
  #text = '';
  #name = '';

  constructor(openMetrics: boolean) {
    this.#openMetrics = openMetrics;
  }

  /** Begins a metric. The name of a counter is given without its `_total`. */
  begin(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): this {
    this.#name = type === 'counter' ? `${name}_total` : name;
    const told = this.#openMetrics ? name : this.#name;
    this.#text += `# HELP ${told} ${help}\n# TYPE ${told} ${type}\n`;
    return this;
  }

  /**
   * A value of the metric that was begun last.
   * @param labels As `label` gives them, with commas between.
   * @param suffix Of a histogram's values.
   */
  sample(value: number, labels = '', suffix = ''): this {
    this.#text += `${this.#name}${suffix}${labels && `{${labels}}`} ${value}\n`;
    return this;
  }

  toString(): string {
    return this.#text;
  }
}

/** A label, its value escaped: it may be any text. */
export function label(name: string, value: string): string {
  return `${name}="${value.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`)).replaceAll('\0', '\ufffd')}"`;
}

/** A number as OpenMetrics wants the bounds of buckets; the same in both formats, or each had series of its own. */
export function bound(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : `${value}`;
}
