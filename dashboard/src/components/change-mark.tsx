import type { Difference } from '../format/change.ts';

const SIGNS = { up: '↑', down: '↓', same: '' } as const;
const WORDS = { up: 'up', down: 'down', same: '' } as const;

/** Shows the change from the previous period. */
export function ChangeMark({ difference }: { difference: Difference | null }) {
  if (difference === null) return null;
  const { text, meaning, direction } = difference;
  return (
    <span class={`change ${meaning}`}>
      <span aria-hidden="true">{SIGNS[direction]}</span>
      <span class="hidden">{WORDS[direction]} </span>
      {text}
    </span>
  );
}
