import { useEffect, useRef, useState } from 'preact/hooks';
import { usePage } from '../state/context.ts';
import { KEYS, RANGE_KEYS, viewAfter } from '../state/shortcuts.ts';
import { RANGE_LABELS } from '../state/view.ts';
import { Icon } from './icons.tsx';

const SETTING = 'track-usage.shortcuts';

/** Button of the help sheet, and the shortcuts themselves. They can be turned off, for users of speech input. */
export function Shortcuts({ onLive }: { onLive(): void }) {
  const { site, view, change } = usePage();
  const dialog = useRef<HTMLDialogElement>(null);
  const [isOn, setIsOn] = useState(isWanted);
  const state = useRef({ view, onLive, isOn });
  state.current = { view, onLive, isOn };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { view: now, onLive: toggle, isOn: wanted } = state.current;
      if (!wanted || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target) || document.querySelector('dialog[open]')) return;
      const { key } = event;
      const next = viewAfter(key, now, site.timeZone);
      if (next) change(() => next);
      else if (key === 'v') toggle();
      else if (key === '?') dialog.current!.showModal();
      else if (key === '/') document.querySelector<HTMLElement>('.panel input[type="search"]')?.focus();
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [site.timeZone, change]);

  const set = (wanted: boolean) => {
    setIsOn(wanted);
    try {
      localStorage.setItem(SETTING, String(wanted));
    } catch {}
  };
  return (
    <>
      <button
        type="button"
        class="button square shortcuts"
        aria-label={KEYS['?']}
        title={`${KEYS['?']} (?)`}
        onClick={() => dialog.current!.showModal()}
      >
        <Icon name="keyboard" />
      </button>
      <dialog ref={dialog} class="sheet" aria-labelledby="shortcuts">
        <div class="panel-head">
          <h2 id="shortcuts">{KEYS['?']}</h2>
          <button
            type="button"
            class="square quiet"
            aria-label="Close"
            onClick={() => dialog.current!.close()}
          >
            <Icon name="close" />
          </button>
        </div>
        <dl class="keys-list">
          {Object.entries(KEYS).map(([key, label]) => (
            <Shortcut key={key} letter={key} label={label} />
          ))}
          {Object.entries(RANGE_LABELS).map(([name, label]) => (
            <Shortcut key={name} letter={RANGE_KEYS[name as keyof typeof RANGE_KEYS]} label={label} />
          ))}
        </dl>
        <label class="check">
          <input type="checkbox" checked={isOn} onChange={(event) => set(event.currentTarget.checked)} />
          Use keyboard shortcuts
        </label>
      </dialog>
    </>
  );
}

function Shortcut({ letter, label }: { letter: string; label: string }) {
  return (
    <div>
      <dt>
        <kbd>{letter}</kbd>
      </dt>
      <dd>{label}</dd>
    </div>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest('input, select, textarea, [contenteditable]') !== null
  );
}

function isWanted(): boolean {
  try {
    return localStorage.getItem(SETTING) !== 'false';
  } catch {
    return true;
  }
}
