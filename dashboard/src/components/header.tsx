import type { UsageStatus } from '../api/types.ts';
import type { LiveState } from '../api/use-live.ts';
import { usePage } from '../state/context.ts';
import type { Theme } from '../state/theme.ts';
import { HealthBadge, LiveBadge } from './badges.tsx';
import { BotsSwitch } from './bots-switch.tsx';
import { ComparePicker } from './compare-picker.tsx';
import { RangePicker } from './range-picker.tsx';
import { Shortcuts } from './shortcuts.tsx';
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
  const { site } = usePage();
  return (
    <header class="header">
      <a class="skip" href="#content">
        Skip to content
      </a>
      <div class="page header-row">
        <div class="site">
          <h1 title={site.site}>{site.site === 'default' ? 'Usage' : site.site}</h1>
          <span class="muted zone">{site.timeZone}</span>
        </div>
        <div class="badges">
          <LiveBadge state={live} isWanted={isLive} onToggle={() => onLive(!isLive)} />
          <HealthBadge status={status} />
        </div>
        <div class="settings">
          <Shortcuts onLive={() => onLive(!isLive)} />
          <ThemeSwitch theme={theme} onTheme={onTheme} />
        </div>
        <div class="tools">
          <RangePicker />
          <BotsSwitch />
          <ComparePicker />
        </div>
      </div>
    </header>
  );
}
