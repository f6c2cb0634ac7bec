/**
 * Returns the values of an exposition by the JSON of their name and labels. Throws for a line that violates the format,
 * and for a duplicate series.
 */
export function parseExposition(text: string): Map<string, number> {
  const values = new Map<string, number>();
  if (!text.endsWith('\n')) throw new Error('the last line does not end with a line break');
  for (const line of text.slice(0, -1).split('\n')) {
    if (line.startsWith('# ')) continue;
    const [, name, labels = '', value] =
      /^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\[\\n"])*",?)*)\})? (\S+)$/s.exec(line) ?? [];
    if (name === undefined) throw new Error(`not a sample: ${line}`);
    const parts = [...labels.matchAll(/([a-z]+)="((?:[^"\\]|\\[\\n"])*)"/gs)].map(([, label, text = '']) => [
      label,
      text.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)),
    ]);
    const series = JSON.stringify([name, Object.fromEntries(parts)]);
    if (values.has(series)) throw new Error(`twice: ${series}`);
    values.set(series, Number(value));
  }
  return values;
}
