import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

interface PopoverProps {
  class?: string;
  label: ComponentChildren;
  title?: string;
  isPressed?: boolean;
  /** Contents, which may call `close`. */
  children(close: () => void): ComponentChildren;
}

/** A button with a popover below it. Escape, or a click outside, closes it. */
export function Popover({ label, title, isPressed, children, ...props }: PopoverProps) {
  const [isOpen, setIsOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!isOpen) return;
    const onDown = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setIsOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      setIsOpen(false);
      button.current?.focus();
    };
    document.addEventListener('pointerdown', onDown);
    document.addEventListener('focusin', onDown);
    document.addEventListener('keydown', onKey);
    return () => {
      document.removeEventListener('pointerdown', onDown);
      document.removeEventListener('focusin', onDown);
      document.removeEventListener('keydown', onKey);
    };
  }, [isOpen]);

  return (
    <div class="popover-root" ref={root}>
      <button
        type="button"
        ref={button}
        class={props.class}
        title={title}
        aria-expanded={isOpen}
        aria-controls={id}
        aria-pressed={isPressed}
        onClick={() => setIsOpen(!isOpen)}
      >
        {label}
      </button>
      <div id={id} class="popover" hidden={!isOpen}>
        {isOpen && children(() => setIsOpen(false))}
      </div>
    </div>
  );
}
