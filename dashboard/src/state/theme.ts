import { useEffect, useState } from 'preact/hooks';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
export type Scheme = 'light' | 'dark';

const KEY = 'track-usage.theme';
const DARK = '(prefers-color-scheme: dark)';

/** Reads the stored theme. If storage is blocked, the choice lasts until the page is closed. */
function stored(): Theme {
  try {
    const theme = localStorage.getItem(KEY) as Theme;
    return THEMES.includes(theme) ? theme : 'system';
  } catch {
    return 'system';
  }
}

/** Applies the theme. Call it before rendering, to avoid a flash. */
export function applyTheme(theme: Theme = stored()): void {
  document.documentElement.dataset.theme = theme;
}

/** Returns the selected theme, the resulting color scheme, and a function that selects another theme. */
export function useTheme(): { theme: Theme; scheme: Scheme; choose(theme: Theme): void } {
  const [theme, setTheme] = useState(stored);
  const [isDark, setIsDark] = useState(() => matchMedia(DARK).matches);
  useEffect(() => {
    const media = matchMedia(DARK);
    const onChange = () => setIsDark(media.matches);
    media.addEventListener('change', onChange);
    return () => media.removeEventListener('change', onChange);
  }, []);
  return {
    theme,
    scheme: theme === 'system' ? (isDark ? 'dark' : 'light') : theme,
    choose(chosen) {
      applyTheme(chosen);
      setTheme(chosen);
      try {
        localStorage.setItem(KEY, chosen);
      } catch {}
    },
  };
}
