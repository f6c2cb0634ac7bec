import { inTwo, type KeyText } from '../format/keys.ts';

/** A key. If there is too little space, the part that it shares with similar keys is cut. */
export function KeyLabel({ text, title, mark, differsFrom }: KeyText) {
  const [head, tail] = inTwo(text, differsFrom);
  return (
    <bdi class="key-label" dir="auto" title={title || undefined}>
      {mark && (
        <span class="mark" aria-hidden="true">
          {mark}
        </span>
      )}
      <span class="key-head">{head}</span>
      {tail !== '' && <span class="key-tail">{tail}</span>}
    </bdi>
  );
}
