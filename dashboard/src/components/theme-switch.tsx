import { THEMES, type Theme } from '../state/theme.ts';
import { Icon } from './icons.tsx';

const ICONS = { system: 'system', light: 'sun', dark: 'moon' } as const;
const LABELS = { system: 'system', light: 'light', dark: 'dark' } as const;

/** Button that switches to the next theme. */
export function ThemeSwitch({ theme, onTheme }: { theme: Theme; onTheme(theme: Theme): void }) {
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  const label = `Theme: ${LABELS[theme]}`;
  return (
    <button
      type="button"
      class="button square"
      aria-label={label}
      title={`${label}. Click for ${LABELS[next]}.`}
      onClick={() => onTheme(next)}
    >
      <Icon name={ICONS[theme]} />
    </button>
  );
}
