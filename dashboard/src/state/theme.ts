import { useState } from 'preact/hooks';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEY = 'track-usage.theme';

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

/** Returns the selected theme, and a function that selects another one. */
export function useTheme(): { theme: Theme; choose(theme: Theme): void } {
  const [theme, setTheme] = useState(stored);
  return {
    theme,
    choose(chosen) {
      applyTheme(chosen);
      setTheme(chosen);
      try {
        localStorage.setItem(KEY, chosen);
      } catch {}
    },
  };
}
