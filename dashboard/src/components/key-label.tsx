import { inTwo, type KeyText } from '../format/keys.ts';

/** A key, truncated in the middle if there is too little space. */
export function KeyLabel({ text, title, mark }: KeyText) {
  const [head, tail] = inTwo(text);
  return (
    <bdi class="key-label" dir="ltr" title={title || undefined}>
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
