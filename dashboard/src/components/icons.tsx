const PATHS = {
  close: 'M4 4l8 8M12 4l-8 8',
  expand: 'M9.5 3H13v3.5M13 3L9 7M6.5 13H3V9.5M3 13l4-4',
  out: 'M6.5 4H12v5.5M12 4L4.5 11.5',
  left: 'M10 3.5L5.5 8l4.5 4.5',
  right: 'M6 3.5L10.5 8 6 12.5',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5L14 14',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13.5 9.5A6 6 0 0 1 6.5 2.5 6 6 0 1 0 13.5 9.5z',
  system: 'M2 3h12v8H2zM5.5 14h5M8 11v3',
  line: 'M2 12l4-5 3 3 5-7',
  download: 'M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10',
  calendar: 'M2.5 4h11v9.5h-11zM2.5 7h11M5.5 2v3M10.5 2v3',
  down: 'M4 6l4 4 4-4',
  compare: 'M2 5h10M9 2l3 3-3 3M14 11H4M7 8l-3 3 3 3',
  keyboard: 'M1.5 4h13v8.5h-13zM4 6.5h.01M6.7 6.5h.01M9.3 6.5h.01M12 6.5h.01M5 10h6',
} as const;

/** Decorative icon. A text or label beside it has the same meaning. */
export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
