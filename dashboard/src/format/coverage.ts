import { expiredText as textOf } from '../../../src/formats/expired.ts';
import { MEASURE_LABELS, OVER_BUDGET } from '../../../src/formats/labels.ts';
import type { Expired, Gap } from '../api/types.ts';
import { show, showRange } from './dates.ts';
import { quantity } from './numbers.ts';

/** Describes expired data. */
export function expiredText(expired: Expired): string {
  return textOf(expired, (date) => show(date, 'dayAndYear'));
}

/** Describes a summary whose budget of keys was reached. */
export function budgetText(label: string): string {
  return label === MEASURE_LABELS.visitors
    ? 'There are more visitors than the key budget allows, so their number is a lower bound.'
    : `There are more ${label} than the key budget allows. The rest is counted under ${OVER_BUDGET}.`;
}

/** Describes the hits that a summary does not include. */
export function gapText(label: string, { from, to, hits }: Gap): string {
  return `${label} do not include ${quantity(hits, 'hit')} (${showRange({ from, to })}), when the summary was not among the hooks of every app.`;
}
