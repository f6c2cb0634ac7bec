import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';

export interface Option<T> {
  value: T;
  label: ComponentChildren;
  title?: string | undefined;
  isDisabled?: boolean;
}

interface SegmentsProps<T> {
  /** Name of the group, for screen readers. */
  label: string;
  options: readonly Option<T>[];
  value: T;
  class: string;
  /** Class of each option. */
  optionClass: string;
  onChoose(value: T): void;
}

/** Mutually exclusive options. The group is one tab stop; arrow keys choose the next option. */
export function Segments<T>({ label, options, value, onChoose, optionClass, ...props }: SegmentsProps<T>) {
  const root = useRef<HTMLDivElement>(null);
  const usable = options.filter(({ isDisabled }) => !isDisabled);
  const reachable = usable.find((option) => option.value === value) ?? usable[0];
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined || !reachable) return;
    event.preventDefault();
    event.stopPropagation();
    const next = usable[(usable.indexOf(reachable) + step + usable.length) % usable.length]!;
    onChoose(next.value);
    const buttons = root.current!.querySelectorAll<HTMLButtonElement>('[role="radio"]');
    buttons[options.indexOf(next)]!.focus();
  };
  return (
    <div ref={root} class={props.class} role="radiogroup" aria-label={label} onKeyDown={onKeyDown}>
      {options.map((option, index) => (
        // biome-ignore lint/a11y/useSemanticElements: the label has elements of its own, and arrows skip no option
        <button
          key={index}
          type="button"
          role="radio"
          class={optionClass}
          title={option.title}
          aria-checked={option.value === value}
          disabled={option.isDisabled}
          tabIndex={option === reachable ? 0 : -1}
          onClick={() => onChoose(option.value)}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}
