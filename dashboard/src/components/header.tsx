import type { UsageStatus } from '../api/types.ts';
import type { LiveState } from '../api/use-live.ts';
import { usePage } from '../state/context.ts';
import type { Theme } from '../state/theme.ts';
import { HealthBadge, LiveBadge } from './badges.tsx';
import { BotsSwitch } from './bots-switch.tsx';
import { RangePicker } from './range-picker.tsx';
import { ThemeSwitch } from './theme-switch.tsx';

interface HeaderProps {
  live: LiveState;
  isLive: boolean;
  onLive(isLive: boolean): void;
  status: UsageStatus | null;
  theme: Theme;
  onTheme(theme: Theme): void;
}

/** Header: the site, the state of its data, and the time range. */
export function Header({ live, isLive, onLive, status, theme, onTheme }: HeaderProps) {
  const { site, view, change } = usePage();
  return (
    <header class="header">
      <div class="page header-row">
        <div class="site">
          <h1 title={site.site}>{site.site === 'default' ? 'Usage' : site.site}</h1>
          <span class="muted zone">{site.timeZone}</span>
        </div>
        <div class="badges">
          <LiveBadge state={live} isWanted={isLive} onToggle={() => onLive(!isLive)} />
          <HealthBadge status={status} />
        </div>
        <div class="tools">
          <RangePicker />
          <BotsSwitch />
          <button
            type="button"
            class="button"
            aria-pressed={view.compare}
            title="Compare with the previous period"
            onClick={() => change((before) => ({ ...before, compare: !before.compare }))}
          >
            Compare
          </button>
          <ThemeSwitch theme={theme} onTheme={onTheme} />
        </div>
      </div>
    </header>
  );
}
