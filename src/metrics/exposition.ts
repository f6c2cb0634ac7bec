/** Content type of `usage.metrics()` in an HTTP response: Prometheus's text format. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** Content type of `usage.metrics({ openMetrics: true })`. */
export const OPENMETRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** Last line of an OpenMetrics exposition. */
export const OPENMETRICS_END = '# EOF\n';

/** Formats metrics as text, in Prometheus's or the OpenMetrics format. */
export class Exposition {
  readonly #openMetrics: boolean;
  #text = '';
  #name = '';

  constructor(openMetrics: boolean) {
    this.#openMetrics = openMetrics;
  }

  /** Starts a metric. Pass the name of a counter without `_total`. */
  begin(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): this {
    this.#name = type === 'counter' ? `${name}_total` : name;
    const label = this.#openMetrics ? name : this.#name;
    this.#text += `# HELP ${label} ${help}\n# TYPE ${label} ${type}\n`;
    return this;
  }

  /**
   * Adds a value to the current metric.
   * @param labels Results of `label`, separated by commas.
   * @param suffix Suffix of a histogram's values.
   */
  sample(value: number, labels = '', suffix = ''): this {
    this.#text += `${this.#name}${suffix}${labels && `{${labels}}`} ${value}\n`;
    return this;
  }

  toString(): string {
    return this.#text;
  }
}

/** Returns a label with its value escaped. */
export function label(name: string, value: string): string {
  return `${name}="${value.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`)).replaceAll('\0', '\ufffd')}"`;
}

/**
 * Formats a bucket's bound as OpenMetrics requires. Both formats use it, so that their series are the same.
 */
export function bound(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : `${value}`;
}
